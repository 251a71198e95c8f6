"""The research schedulers, which know the latency profile and every deadline: Nexus, Flex and Symphony.

Nexus (SOSP'19), Shepherd's Flex (NSDI'23, without preemption) and Symphony (arXiv 2308.07470), as in the design's section 1.2 and
2.6. Rows are kept in the order of their deadlines.
"""

import bisect
from typing import Final

from simulator.policy import DROP, Decision, Queue, Setup
from simulator.row import WAITING, Row

_HALF_LIFE: Final = 32


class Sorted(Queue):
    """A queue ordered by deadline, as a list from which windows are cut."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.rows: Final[list[Row]] = []
        self.time_ns: Final = setup.curve.table
        self.most = setup.curve.best_rows
        self._stale = False

    def cancel(self, row: Row, now_ns: int) -> None:
        """Look through the rows before the next window."""
        self._stale = True
        super().cancel(row, now_ns)

    def arrive(self, row: Row, now_ns: int) -> bool:  # noqa: ARG002 - order is by deadline
        """Queue the row."""
        rows = self.rows
        if rows and row < rows[-1]:
            bisect.insort(rows, row)
        else:
            rows.append(row)
        self.waiting += row.rows
        return True

    def tick(self, now_ns: int) -> list[Decision]:
        """Run what the rule says, lane by lane."""
        decisions: list[Decision] = []
        while self.free and self.waiting:
            first, size = self.window(now_ns)
            if first:
                decisions.append((DROP, self._cut(first)))
            if not size or not self.go(size, now_ns):
                break
            decisions.append((self.free.pop(), self._cut(size)))
        return decisions

    def go(self, size: int, now_ns: int) -> bool:  # noqa: ARG002 - others wait
        """Tell whether the window's batch runs now."""
        return True

    def window(self, now_ns: int) -> tuple[int, int]:
        """Return how many requests at the head are too late for the batch, and how many after them are the batch.

        Nexus's early drop: a window of the target size slides along the queue until its first row can be answered in time.
        """
        rows = self._live()
        first, even = 0, self.waiting == len(rows)
        while first < len(rows):
            size, total = (min(len(rows) - first, self.most),) * 2 if even else fitting(rows, first, self.most)
            if now_ns + self.time_ns[total] <= rows[first].deadline_ns:
                return first, size
            first += 1
        return first, 0

    def _live(self) -> list[Row]:
        rows = self.rows
        if self._stale:
            rows[:] = [row for row in rows if row.state == WAITING]
            self._stale = False
        return rows

    def _cut(self, count: int) -> list[Row]:
        cut = self.rows[:count]
        del self.rows[:count]
        self.waiting -= sum(row.rows for row in cut)
        return cut


class Nexus(Sorted):
    """Largest b with `2 * l(b) <= SLO` as target, early drop by a window, no waiting."""


class Flex(Sorted):
    """The largest feasible batch at every arrival and completion, whatever it drops; a row is only given up once it is hopeless."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.most = setup.curve.max_rows

    def tick(self, now_ns: int) -> list[Decision]:
        """Give up what cannot be answered even alone, then run the largest batch of the latest rows that are needed for it."""
        decisions: list[Decision] = []
        while self.free and self.waiting:
            hopeless = self._hopeless(now_ns)
            if hopeless:
                decisions.append((DROP, self._cut(hopeless)))
            if not self.rows:
                break
            decisions.append((self.free.pop(), self._largest(now_ns)))
        return decisions

    def _hopeless(self, now_ns: int) -> int:
        rows, first = self._live(), 0
        while first < len(rows) and now_ns + self.time_ns[rows[first].rows] > rows[first].deadline_ns:
            first += 1
        return first

    def _largest(self, now_ns: int) -> list[Row]:
        first, size = self.window(now_ns)
        if not size:
            first, size = 0, 1  # long requests behind the head are hopeless, and the head is not
        batch = self.rows[first : first + size]
        del self.rows[first : first + size]
        self.waiting -= sum(row.rows for row in batch)
        return batch


class Symphony(Sorted):
    """Deferred: a batch of b rows runs from `d - l(b+1)`, when it cannot grow any more. Alone it spends the objective when idle."""

    def go(self, size: int, now_ns: int) -> bool:
        """Run if full, or if one more row would not fit."""
        self._frontrun_ns = self._frontrun(size)
        return self._frontrun_ns <= now_ns

    def next_wakeup(self, now_ns: int) -> int | None:  # noqa: ARG002 - due at a fixed instant
        """Wake at the window's beginning."""
        return self._frontrun_ns if self.free and self.waiting else None

    def _frontrun(self, size: int) -> int:
        total = sum(row.rows for row in self.rows[:size])
        if total >= self.most or size < len(self.rows):
            return 0
        return self.rows[0].deadline_ns - self.time_ns[total + 1]


class BetaLambda(Symphony):
    """Symphony's gate: at once when `b >= fixed cost * rate`; the rate is an exponential mean over 32 arrivals."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._gap_ns = 0.0
        self._last_ns = 0

    def arrive(self, row: Row, now_ns: int) -> bool:
        """Learn the gap between rows."""
        gap, self._last_ns = (now_ns - self._last_ns) / row.rows, now_ns
        self._gap_ns += (gap - self._gap_ns) / _HALF_LIFE
        return super().arrive(row, now_ns)

    def _frontrun(self, size: int) -> int:
        total = sum(row.rows for row in self.rows[:size])
        if total * self._gap_ns >= self.time_ns[0]:
            return 0
        return super()._frontrun(size)


def fitting(rows: list[Row], first: int, most: int) -> tuple[int, int]:
    """Return how many requests from the first on fit into so many rows, and their rows; one always does."""
    last = min(len(rows), first + most)
    total = size = 0
    for place in range(first, last):
        total += rows[place].rows
        if total > most and size:
            return size, total - rows[place].rows
        size += 1
    return size, total
