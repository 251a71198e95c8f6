"""Live rows as counts: constant memory, a few comparisons for each value, and sums that add up over windows and processes."""

from collections.abc import Sized
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.monitoring.reference import BINS, Reference

_BLOCK: Final = 250
"""Rows that are counted at once: few enough for a byte to hold any count, and for the caches; windows of a thousand are four."""
_LONGEST_LINE: Final = 1024
_FAR: Final = float(np.finfo(np.float32).max)
"""Stands for infinity in samples: nothing lies beyond it."""

Counts = NDArray[np.int64]


class Tally(NamedTuple):
    """What was counted; each array has one column for each feature."""

    rows: int
    above: Counts
    """Shape (edges, features): values above each edge; 0 where a feature has fewer edges."""
    missing: Counts
    below_low: Counts
    above_high: Counts


class DriftSketch:
    """Counts rows between the edges of a reference. For one thread.

    Rows are gathered until a block is full: one pass over many costs what one over few does. Some rows of a block lie in a line, since
    long lines cost less to compare; their counts are added up at the end of a window.
    """

    def __init__(self, reference: Reference) -> None:
        features = reference.features
        self._features: Final = len(features)
        self._folds: Final = max(fold for fold in range(1, _BLOCK + 1) if _BLOCK % fold == 0 and fold * len(features) <= _longest(features))
        edges = np.full((BINS, len(features)), np.inf)
        edges[-1] = [feature.high if feature.high < _FAR else np.inf for feature in features]
        for column, feature in enumerate(features):
            edges[: len(feature.edges), column] = feature.edges
        self._edges: Final = np.tile(edges, self._folds)
        self._low: Final = np.tile([feature.low if feature.low > -_FAR else -np.inf for feature in features], self._folds)
        self._narrow: Final = _rounded_down(self._edges)
        self._narrow_low: Final = -_rounded_down(-self._low)
        self._block: NDArray[np.floating] = np.empty((_BLOCK, len(features)), np.float32)
        self._marks: Final = np.empty((_BLOCK // self._folds, len(self._low)), np.bool_)
        self.clear()

    def clear(self) -> None:
        """Begin a new window."""
        self.rows = 0
        self._gathered = 0
        self._above: Counts = np.zeros(self._edges.shape, np.int64)
        self._missing: Counts = np.zeros(self._low.shape, np.int64)
        self._below: Counts = np.zeros(self._low.shape, np.int64)

    def add(self, rows: NDArray[np.floating]) -> None:
        """Count rows of shape (rows, features), FP32 or FP64; raises ValueError for another number of features."""
        if rows.ndim != 2 or rows.shape[1] != self._features:  # noqa: PLR2004 - rows and features
            raise ValueError(f"the rows have the shape {list(rows.shape)}, but {self._features} features are watched")
        if rows.dtype != self._block.dtype:
            self._count_gathered()
            self._block = np.empty(self._block.shape, rows.dtype)
        self.rows += len(rows)
        while len(rows):
            rows = self._gather(rows)

    def tally(self) -> Tally:
        """Return what has been counted since the last `clear`."""
        self._count_gathered()
        above = self._folded(self._above)
        return Tally(self.rows, above[:-1], self._folded(self._missing), self._folded(self._below), above[-1])

    def _folded(self, counts: Counts) -> Counts:
        folded: Counts = counts.reshape(*counts.shape[:-1], self._folds, self._features).sum(axis=-2)
        return folded

    def _gather(self, rows: NDArray[np.floating]) -> NDArray[np.floating]:
        """Take as many rows as the block has room for; returns the rest."""
        taken = rows[: _BLOCK - self._gathered]
        self._block[self._gathered : self._gathered + len(taken)] = taken
        self._gathered += len(taken)
        if self._gathered == _BLOCK:
            self._count_gathered()
        return rows[len(taken) :]

    def _count_gathered(self) -> None:
        empty, self._gathered = _BLOCK - self._gathered, 0
        if empty == _BLOCK:
            return
        self._block[_BLOCK - empty :] = np.nan
        self._missing[: self._features] -= empty
        lines = self._block.reshape(self._marks.shape)
        edges, low = (self._narrow, self._narrow_low) if lines.dtype == np.float32 else (self._edges, self._low)
        for position, edge in enumerate(edges):
            self._above[position] += _count(np.greater(lines, edge, out=self._marks))
        self._missing += _count(np.isnan(lines, out=self._marks))
        self._below += _count(np.less(lines, low, out=self._marks))


def _longest(features: Sized) -> int:
    return max(_LONGEST_LINE, len(features))


def _count(marks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    counted: NDArray[np.uint8] = np.add.reduce(marks.view(np.uint8), axis=0, dtype=np.uint8)
    return counted


def _rounded_down(edges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the greatest FP32 that is no greater than each edge: FP32 values lie above it exactly if they lie above the edge."""
    with np.errstate(over="ignore"):
        narrow = edges.astype(np.float32)
    over = narrow.astype(np.float64) > edges
    narrow[over] = np.nextafter(narrow[over], np.float32(-np.inf))
    return narrow
