"""The test of whether a row's answer depends on the rows beside it."""

from collections.abc import Callable, Mapping

import numpy as np

from penstock.domain.errors import PenstockError
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.domain.tensor import DATATYPES, Array, Datatype
from penstock.execution.synthetic import synthetic_inputs

_RTOL, _ATOL = 1e-3, 1e-4
"""Sums over other batch sizes round differently on a CPU; a real leak between rows is far larger."""
_COARSE = {"FP16": 0.05, "BF16": 0.1}
_LESS_COARSE = 0.02
"""Share of the largest value: a GPU takes other kernels for other shapes, and rounds what it multiplies to 10 bits (TF32)."""


class UnsafeBatch(Exception):
    """Rows of different callers must not share a run."""


def probe_batch(session: Session, schema: ModelSchema, limit_s: float) -> str | None:
    """Run rows alone, together, and together with others, and compare.

    Returns None if they agree, or a note if the model rejects synthetic input, which some models rightly do. Raises `UnsafeBatch`,
    with the reason, if an answer depends on its neighbours or an output does not have one row per row.
    """
    first, second, third = (synthetic_inputs(schema, 1, seed) for seed in (1, 2, 3))
    names = schema.output_names
    try:
        alone = [session.run(row, names, limit_s) for row in (first, second)]
        both, beside, behind = (session.run(_pair(*rows), names, limit_s) for rows in ((first, second), (first, third), (third, second)))
    except PenstockError as error:
        return f"the batch probe could not run, rows are batched unproven: {error.message}"
    same = rounding(session)
    for spec, one, other, pair, with_other, after_other in zip(schema.outputs, *alone, both, beside, behind, strict=True):
        _check_rows(spec.name, (one, other), pair)
        # Runs of one size round alike on any device, so that no leak hides behind the tolerance for runs of another size.
        apart = close(spec.datatype, pair[0], with_other[0]) and close(spec.datatype, pair[1], after_other[1])
        if not (apart and same(spec.datatype, one[0], pair[0]) and same(spec.datatype, other[0], pair[1])):
            raise UnsafeBatch(f"output {spec.name!r} of a row depends on the other rows of its batch")
    return None


def _pair(one: Mapping[str, Array], other: Mapping[str, Array]) -> Mapping[str, Array]:
    return {name: np.concatenate([one[name], other[name]]) for name in one}


def _check_rows(name: str, alone: tuple[Array, Array], both: Array) -> None:
    if both.ndim == 0 or any(one.shape != (1, *both.shape[1:]) for one in alone) or both.shape[0] != len(alone):
        raise UnsafeBatch(f"output {name!r} has shape {list(both.shape)} for two rows: not one row for each row")


def rounding(session: Session) -> Callable[[Datatype, Array, Array], bool]:
    """Return what tells, of answers of the session to inputs of different shapes, whether they are the same but for rounding."""
    return close if set(session.placement) <= {"cpu"} else alike


def alike(datatype: Datatype, one: Array, other: Array) -> bool:
    """Tell whether two answers of a device that rounds coarsely may be the same."""
    if datatype.dtype.kind != "f" and datatype is not DATATYPES["BF16"]:
        return bool(np.array_equal(one, other))
    one, other = (_values(datatype, array) for array in (one, other))
    scale = np.abs(one[np.isfinite(one)]).max(initial=0.0)
    share = _COARSE.get(datatype.wire, _LESS_COARSE)
    return bool(np.allclose(one, other, rtol=0.0, atol=share * scale + _ATOL, equal_nan=True))


def close(datatype: Datatype, one: Array, other: Array) -> bool:
    """Tell whether two answers are the same but for rounding."""
    if datatype is DATATYPES["BF16"]:
        return bool(np.allclose(_values(datatype, one), _values(datatype, other), rtol=0.05, atol=0.05, equal_nan=True))
    if datatype.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=_RTOL, atol=_ATOL, equal_nan=True))
    return bool(np.array_equal(one, other))


def _values(datatype: Datatype, array: Array) -> Array:
    """Return floats as numpy reckons with them."""
    if datatype is DATATYPES["BF16"]:
        return np.left_shift(np.asarray(array).astype(np.uint32), 16).view(np.float32)
    return np.asarray(array, np.float64)
