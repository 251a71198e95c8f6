"""Where a run goes: on the event loop if it is shorter than the hop to a thread and back, else on a lane's thread."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from penstock.domain.batch import Run

_RECENT: Final = 0.2
"""Weight of the newest run in a mean."""
_DRIFT: Final = 1.01
_STAYS: Final = 2
"""What ran on the event loop stays there until it is expected to take so many hops: around one hop it would change sides all the time."""
_UNKNOWN_NS: Final = 1e18
"""Longer than any hop: a size that nobody has run yet is tried on a thread."""


class RunPlace:
    """Expects of each batch size what its recent runs took."""

    def __init__(self, hop_ns: int, measured_ns: Mapping[int, int]) -> None:
        """`hop_ns` is the cost of the hop, 0 if runs never belong on the loop; `measured_ns` what warm-up runs took, by rows."""
        self._hop_ns = hop_ns
        self._sizes = sorted(measured_ns)
        self._measured_ns = dict(measured_ns)
        self._expected_ns: dict[int, float] = {}
        self._here: set[int] = set()
        """Sizes whose last run was on the event loop."""

    def is_here(self, rows: int) -> bool:
        """Tell whether a run of so many rows is expected to take less than the hop, or not much more if the last one ran here."""
        return self._expected(rows) < self._hop_ns * (_STAYS if rows in self._here else 1)

    def ran_here(self, rows: int, run: Run) -> None:
        """Learn from a run on the event loop: the mean of what recent ones computed.

        How long they took would be the wrong question: behind a run waits whoever else wants the interpreter, such as the writer of
        payloads, for milliseconds. A thread would wait as well, and cost its hop on top.
        """
        self._here.add(rows)
        before = self._expected(rows)
        self._expected_ns[rows] = before + _RECENT * (min(run.infer_ns, run.busy_ns) - before)

    def ran_there(self, rows: int, run: Run) -> None:
        """Learn from a run on a thread: the shortest of recent ones, since a thread that is done also waits for the interpreter."""
        self._here.discard(rows)
        self._expected_ns[rows] = min(float(run.infer_ns), self._expected(rows) * _DRIFT)

    def _expected(self, rows: int) -> float:
        known = self._expected_ns.get(rows)
        if known is None:
            larger = bisect_left(self._sizes, rows)
            known = self._measured_ns[self._sizes[larger]] if larger < len(self._sizes) else _UNKNOWN_NS
        return known
