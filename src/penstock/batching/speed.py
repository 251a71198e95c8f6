"""What runs of one length take, in rows: the view of a latency model that counts in elements."""

from typing import Protocol

from penstock.batching.latency import LatencyModel
from penstock.batching.line_fit import Line


class Speed(Protocol):
    """What decisions ask of a latency model; nanoseconds by rows."""

    @property
    def cold(self) -> bool:
        """Whether too little has been seen under load to refuse anybody by it."""

    @property
    def line(self) -> Line:
        """The robust line through the table."""

    def expect(self, rows: int) -> int:
        """Return the expected time of a run."""

    def bound(self, rows: int) -> int:
        """Return what most runs stay below."""

    def rows_within(self, budget_ns: float, most: int) -> int:
        """Return the largest batch that is expected to keep the budget, up to `most`; 0 if there is none."""


class LengthSpeed:
    """The speed of rows that are all of one length. Built for a decision, and forgotten with it."""

    __slots__ = ("_latency", "_length")

    def __init__(self, latency: LatencyModel, length: int) -> None:
        self._latency = latency
        self._length = length

    @property
    def cold(self) -> bool:
        """Whether the model is."""
        return self._latency.cold

    @property
    def line(self) -> Line:
        """The model's line with the price of a row."""
        line = self._latency.line
        return Line(line.alpha_ns, line.beta_ns * self._length)

    def expect(self, rows: int) -> int:
        """Return the expected time of a run of rows of that length."""
        return self._latency.expect(rows * self._length)

    def bound(self, rows: int) -> int:
        """Return what most such runs stay below."""
        return self._latency.bound(rows * self._length)

    def rows_within(self, budget_ns: float, most: int) -> int:
        """Return the largest such batch that is expected to keep the budget, up to `most`; 0 if there is none."""
        return self._latency.rows_within(budget_ns, most * self._length) // self._length
