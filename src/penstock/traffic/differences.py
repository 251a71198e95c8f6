"""How far two arrays are apart, row by row: pure numpy, in blocks, so that large tensors take little beside themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from penstock.domain.tensor import DATATYPES, Array, Datatype

_BLOCK: Final = 1 << 18
"""Elements that are looked at together."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a number may be from the primary's: |shadow - primary| <= atol + rtol |primary|, as numpy's `isclose` has it."""

    rtol: float
    atol: float


class RowDifferences(NamedTuple):
    """What was found of each row; arrays of one entry for each."""

    score: Array
    """The largest difference, in parts of what is tolerated there: above 1 is too far, infinite where no number says how far."""
    largest: Array
    """The largest absolute difference of two numbers."""
    relative: Array
    """The largest of those in parts of the primary's number; 0 stands for where that is 0."""
    total: Array
    """The sum of absolute differences."""
    outside: Array
    """How many elements are too far."""
    worst: Array
    """Where in the row the element is that sets the score."""
    nan_primary: Array
    nan_shadow: Array
    """How many elements are no numbers."""

    @staticmethod
    def none(rows: int) -> "RowDifferences":
        """Return the differences of rows that hold nothing."""
        floats = [np.zeros(rows) for _ in range(4)]
        return RowDifferences(*floats, *[np.zeros(rows, np.int64) for _ in range(4)])


def row_differences(primary: Array, shadow: Array, datatype: Datatype, tolerance: Tolerance) -> RowDifferences:
    """Return what is found between two arrays [rows, elements] of one datatype; whole numbers, truths and texts have to be equal."""
    found = RowDifferences.none(len(primary))
    for rows, columns in _blocks(*primary.shape):
        block = _of_block(primary[rows, columns], shadow[rows, columns], datatype, tolerance)
        _join(found, rows, columns.start, block)
    return found


def numbers(array: Array, datatype: Datatype) -> Array:
    """Return the elements as float64; those of BF16, which arrives as raw bits, by their value."""
    if datatype is DATATYPES["BF16"]:
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64)


def is_inexact(datatype: Datatype) -> bool:
    """Tell whether the datatype holds numbers that rounding may change."""
    return datatype.wire.startswith(("FP", "BF"))


def _blocks(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    wide = min(columns, _BLOCK)
    tall = max(1, _BLOCK // max(1, wide))
    for top in range(0, rows, tall):
        for left in range(0, columns, max(1, wide)):
            yield slice(top, min(top + tall, rows)), slice(left, min(left + wide, columns))


def _of_block(primary: Array, shadow: Array, datatype: Datatype, tolerance: Tolerance) -> RowDifferences:
    if not is_inexact(datatype):
        return _of_exact(primary, shadow, datatype)
    ours, theirs = numbers(primary, datatype), numbers(shadow, datatype)
    lost, gone = np.isnan(ours), np.isnan(theirs)
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.abs(theirs - ours)
    away[(ours == theirs) | (lost & gone)] = 0.0
    finite = np.isfinite(away)
    score = np.where(finite, _parts(away, tolerance.atol + tolerance.rtol * np.abs(ours)), np.inf)
    away[~finite] = 0.0
    return _summed(score, away, ours, lost.sum(axis=1), gone.sum(axis=1))


def _of_exact(primary: Array, shadow: Array, datatype: Datatype) -> RowDifferences:
    unlike = np.asarray(primary != shadow, np.bool_)
    score, none = np.where(unlike, np.inf, 0.0), np.zeros(len(primary), np.int64)
    if datatype.wire == "BYTES":
        return _summed(score, np.zeros(unlike.shape), np.zeros(unlike.shape), none, none)
    ours = numbers(primary, datatype)
    return _summed(score, np.abs(numbers(shadow, datatype) - ours), ours, none, none)


def _summed(score: Array, away: Array, ours: Array, nan_primary: Array, nan_shadow: Array) -> RowDifferences:
    relative = _parts(away, np.where(np.isfinite(ours), np.abs(ours), 0.0))
    relative[~np.isfinite(relative)] = 0.0
    return RowDifferences(
        score.max(axis=1),
        away.max(axis=1),
        relative.max(axis=1),
        away.sum(axis=1),
        (score > 1).sum(axis=1),
        score.argmax(axis=1),
        nan_primary,
        nan_shadow,
    )


def _parts(away: Array, of: Array) -> Array:
    """Return the quotients; nothing is nothing of anything, and something is infinitely much of nothing."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(away == 0, 0.0, away / of)


def _join(found: RowDifferences, rows: slice, left: int, block: RowDifferences) -> None:
    worse = block.score > found.score[rows]
    found.worst[rows] = np.where(worse, block.worst + left, found.worst[rows])
    for name in ("score", "largest", "relative"):
        into = getattr(found, name)
        into[rows] = np.maximum(into[rows], getattr(block, name))
    for name in ("total", "outside", "nan_primary", "nan_shadow"):
        getattr(found, name)[rows] += getattr(block, name)
