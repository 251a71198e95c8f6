"""Live rows as counts: constant memory, a few comparisons for each value, and sums that add up over windows and processes."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.monitoring.reference import BINS, Reference

_BLOCK: Final = 255
"""Rows whose counts fit into a byte: so sums run over bytes, which is several times as fast."""

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

    Rows are gathered until a block is full: one pass over many costs what one over few does.
    """

    def __init__(self, reference: Reference) -> None:
        features = reference.features
        self._low: Final = np.array([feature.low for feature in features])
        self._edges: Final = np.full((BINS, len(features)), np.inf)
        self._edges[-1] = [feature.high for feature in features]
        for column, feature in enumerate(features):
            self._edges[: len(feature.edges), column] = feature.edges
        self._narrow: Final = _rounded_down(self._edges)
        self._narrow_low: Final = -_rounded_down(-self._low)
        self._block: NDArray[np.floating] = np.empty((_BLOCK, len(features)), np.float32)
        self.clear()

    def clear(self) -> None:
        """Begin a new window."""
        self.rows = 0
        self._gathered = 0
        self._above: Counts = np.zeros(self._edges.shape, np.int64)
        self._missing: Counts = np.zeros(self._edges.shape[1], np.int64)
        self._below: Counts = np.zeros(self._edges.shape[1], np.int64)

    def add(self, rows: NDArray[np.floating]) -> None:
        """Count rows of shape (rows, features), FP32 or FP64; raises ValueError for another number of features."""
        if rows.ndim != 2 or rows.shape[1] != self._edges.shape[1]:  # noqa: PLR2004 - rows and features
            raise ValueError(f"the rows have the shape {list(rows.shape)}, but {self._edges.shape[1]} features are watched")
        if rows.dtype != self._block.dtype:
            self._count_gathered()
            self._block = np.empty(self._block.shape, rows.dtype)
        self.rows += len(rows)
        while len(rows):
            rows = self._gather(rows)

    def tally(self) -> Tally:
        """Return what has been counted since the last `clear`."""
        self._count_gathered()
        return Tally(self.rows, self._above[:-1].copy(), self._missing.copy(), self._below.copy(), self._above[-1].copy())

    def _gather(self, rows: NDArray[np.floating]) -> NDArray[np.floating]:
        """Take as many rows as the block has room for; returns the rest."""
        taken = rows[: _BLOCK - self._gathered]
        self._block[self._gathered : self._gathered + len(taken)] = taken
        self._gathered += len(taken)
        if self._gathered == _BLOCK:
            self._count_gathered()
        return rows[len(taken) :]

    def _count_gathered(self) -> None:
        block, self._gathered = self._block[: self._gathered], 0
        edges, low = (self._narrow, self._narrow_low) if block.dtype == np.float32 else (self._edges, self._low)
        for position, edge in enumerate(edges):
            self._above[position] += _count(block > edge)
        self._missing += _count(np.isnan(block))
        self._below += _count(block < low)


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
