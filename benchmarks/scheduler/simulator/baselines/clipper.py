"""Clipper's two rules (ucbrise/clipper, src/libclipper, and its paper, NSDI'17), read in the design's section 1.1.

Rows wait in a heap, earliest deadline first, and those whose deadline has passed are removed without a word.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from typing import Final

from simulator.policy import Queue, Setup
from simulator.row import WAITING, Row

_BACK_OFF: Final = 0.9
_REMEMBERED: Final = 100


class Earliest(Queue):
    """A queue ordered by deadline."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._heap: Final[list[Row]] = []

    def arrive(self, row: Row, now_ns: int) -> bool:  # noqa: ARG002 - order is by deadline
        """Queue the row."""
        heapq.heappush(self._heap, row)
        self.waiting += row.rows
        return True

    def head(self) -> Row | None:
        """Return the row of the earliest deadline."""
        heap = self._heap
        while heap and heap[0].state != WAITING:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def take(self, rows: int, now_ns: int) -> tuple[list[Row], list[Row]]:
        """Take the earliest; those that are too late are dropped."""
        batch: list[Row] = []
        dropped: list[Row] = []
        room = rows
        while room > 0 and (row := self.head()) is not None:
            if row.rows > room and batch:
                break
            heapq.heappop(self._heap)
            self.waiting -= row.rows
            if row.deadline_ns <= now_ns:
                dropped.append(row)
            else:
                batch.append(row)
                room -= row.rows
        return batch, dropped


class Aimd(Earliest):
    """The paper: the largest batch grows by 1 while batches stay within the objective, and shrinks by 10 % when one does not."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.limit = 1.0
        self._started: Final[dict[int, int]] = {}

    def ready(self, now_ns: int) -> int:  # noqa: ARG002 - it never waits
        """Return the limit: a free container takes up to it at once."""
        return min(self.waiting, int(self.limit))

    def take(self, rows: int, now_ns: int) -> tuple[list[Row], list[Row]]:
        """Remember when the batch starts."""
        self._started[self.free[-1]] = now_ns
        return super().take(rows, now_ns)

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: FBT001
        """Grow or back off."""
        if now_ns - self._started[lane] > self.setup.slo_ns:
            self.limit = max(1.0, self.limit * _BACK_OFF)
        elif sum(row.rows for row in batch) >= int(self.limit):
            self.limit = min(self.limit + 1, float(self.setup.curve.max_rows))
        return super().done(lane, batch, now_ns, failed)


class DeadlineTimesThroughput(Earliest):
    """The released source: rows = mean throughput * (earliest deadline - now). It knows no fixed cost, so it sizes badly."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._rates: Final[deque[float]] = deque(maxlen=_REMEMBERED)
        self._sum = 0.0
        self._started: Final[dict[int, int]] = {}

    def ready(self, now_ns: int) -> int:
        """Return what the mean throughput can do until the earliest deadline, at least one row."""
        head = self.head()
        if head is None:
            return 0
        left = head.deadline_ns - now_ns
        rate = self._sum / len(self._rates) if self._rates else 0.0
        return min(max(1, int(rate * left)), self.setup.curve.max_rows)

    def take(self, rows: int, now_ns: int) -> tuple[list[Row], list[Row]]:
        """Remember when the batch starts."""
        self._started[self.free[-1]] = now_ns
        return super().take(rows, now_ns)

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: FBT001
        """Learn the batch's throughput."""
        rate = sum(row.rows for row in batch) / max(1, now_ns - self._started[lane])
        if len(self._rates) == _REMEMBERED:
            self._sum -= self._rates[0]
        self._rates.append(rate)
        self._sum += rate
        return super().done(lane, batch, now_ns, failed)
