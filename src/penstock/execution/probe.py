"""The test of whether a row's answer depends on the rows beside it."""

import numpy as np

from penstock.domain.errors import PenstockError
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.domain.tensor import DATATYPES, Array, Datatype
from penstock.execution.synthetic import synthetic_inputs

_RTOL, _ATOL = 1e-3, 1e-4
"""Sums over other batch sizes round differently; a real leak between rows is far larger."""


class UnsafeBatch(Exception):
    """Rows of different callers must not share a run."""


def probe_batch(session: Session, schema: ModelSchema, limit_s: float) -> str | None:
    """Run two rows alone and together, and compare.

    Returns None if they agree, or a note if the model rejects synthetic input, which some models rightly do. Raises `UnsafeBatch`,
    with the reason, if an answer depends on its neighbours or an output does not have one row per row.
    """
    rows = [synthetic_inputs(schema, 1, seed) for seed in (1, 2)]
    together = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    names = schema.output_names
    try:
        alone = [session.run(row, names, limit_s) for row in rows]
        both = session.run(together, names, limit_s)
    except PenstockError as error:
        return f"the batch probe could not run, rows are batched unproven: {error.message}"
    for spec, first, second, pair in zip(schema.outputs, *alone, both, strict=True):
        _compare(spec.name, spec.datatype, (first, second), pair)
    return None


def _compare(name: str, datatype: Datatype, alone: tuple[Array, Array], both: Array) -> None:
    if both.ndim == 0 or any(one.shape != (1, *both.shape[1:]) for one in alone) or both.shape[0] != len(alone):
        raise UnsafeBatch(f"output {name!r} has shape {list(both.shape)} for two rows: not one row for each row")
    for row, one in enumerate(alone):
        if not close(datatype, one[0], both[row]):
            raise UnsafeBatch(f"output {name!r} of a row depends on the other rows of its batch")


def close(datatype: Datatype, one: Array, other: Array) -> bool:
    """Tell whether two answers are the same but for rounding."""
    if datatype is DATATYPES["BF16"]:
        one, other = (np.left_shift(a.astype(np.uint32), 16).view(np.float32) for a in (np.asarray(one), np.asarray(other)))
        return bool(np.allclose(one, other, rtol=0.05, atol=0.05, equal_nan=True))
    if datatype.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=_RTOL, atol=_ATOL, equal_nan=True))
    return bool(np.array_equal(one, other))
