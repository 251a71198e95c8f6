"""The test of whether padding changes a row's answer, and which axes of the outputs have the length of the inputs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from penstock.domain.batch import Rows
from penstock.domain.errors import PenstockError
from penstock.domain.padded_batch import PaddedBatch
from penstock.domain.padding import Padding, PadRule
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.domain.tensor import Array, Datatype
from penstock.execution.probe import rounding
from penstock.execution.synthetic import synthetic_inputs

_LENGTHS: Final = (5, 16, 24)
"""Two that differ by less than a bucket may, and one that is mostly padding beside them."""


class UnsafePadding(Exception):
    """Requests of different lengths must not share a run."""


def probe_padding(session: Session, schema: ModelSchema, padding: Padding, limit_s: float) -> Mapping[str, tuple[int, ...]]:
    """Run rows of several lengths alone and padded together, and return the axes of each output that have the inputs' length.

    Twice: once with rows that hold the padding's own value nowhere, for a model may be blind to more of what is there already (a
    maximum is), and once with rows that may. Raises `UnsafePadding`, with the reason, if an answer depends on its padding or its
    neighbours, if an output cannot be cut back, or if the model rejects synthetic input: nothing is padded unproven.
    """
    rows = [synthetic_inputs(schema, 1, seed, length) for seed, length in enumerate(_LENGTHS)]
    try:
        follows = _run_together(session, schema, padding, [_without_padding(row, padding) for row in rows], limit_s)
        _run_together(session, schema, padding, rows, limit_s)
    except PenstockError as error:
        raise UnsafePadding(f"the padding probe could not run: {error.message}") from error
    return follows


def _run_together(
    session: Session, schema: ModelSchema, padding: Padding, rows: list[Mapping[str, Array]], limit_s: float
) -> Mapping[str, tuple[int, ...]]:
    names = schema.output_names
    alone = [session.run(row, names, limit_s) for row in rows]
    follows = {name: _following(name, [outputs[index] for outputs in alone]) for index, name in enumerate(names)}
    batch = PaddedBatch([Rows(row, 1) for row in rows], names, replace(padding, follows=follows))
    together = batch.split(session.run(batch.stack(), names, limit_s))
    same = rounding(session)
    for length, one, other in zip(_LENGTHS, alone, together, strict=True):
        _compare(schema, length, one, other, same)
    return follows


def _following(name: str, outputs: list[Array]) -> tuple[int, ...]:
    """Return the axes of an output whose size is the inputs' length."""
    if len({output.ndim for output in outputs}) > 1:
        raise UnsafePadding(f"output {name!r} has another rank for inputs of another length")
    sizes = list(zip(*(output.shape for output in outputs), strict=True))
    for axis, seen in enumerate(sizes):
        if len(set(seen)) > 1 and seen != _LENGTHS:
            raise UnsafePadding(
                f"axis {axis} of output {name!r} has the sizes {list(seen)} for inputs of the lengths {list(_LENGTHS)}: "
                "only an axis of the inputs' own length can be cut back"
            )
    return tuple(axis for axis, seen in enumerate(sizes) if seen == _LENGTHS)


def _compare(
    schema: ModelSchema, length: int, alone: list[Array], together: list[Array], same: Callable[[Datatype, Array, Array], bool]
) -> None:
    for spec, one, other in zip(schema.outputs, alone, together, strict=True):
        if one.shape != other.shape or not same(spec.datatype, one, other):
            raise UnsafePadding(f"output {spec.name!r} of a row of length {length} changes when the row is padded to {max(_LENGTHS)}")


def _without_padding(row: Mapping[str, Array], padding: Padding) -> Mapping[str, Array]:
    """Return the row with another value wherever it holds the one that pads."""
    masks = {mask.name for mask in padding.masks}
    return {**row, **{rule.name: _unlike(rule, row[rule.name]) for rule in padding.rules if rule.name not in masks}}


def _unlike(rule: PadRule, array: Array) -> Array:
    kind = array.dtype.kind
    if kind == "f":  # drawn from a continuum
        return array
    first, second = ("one", "two") if kind == "O" else (0, 1)
    return np.where(array == rule.value, second if rule.value == first else first, array).astype(array.dtype)
