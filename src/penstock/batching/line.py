"""Jobs in the order of an instant, first come first served among equals."""

import heapq
from collections import deque

from penstock.batching.job import WAITING, Job


class Line:
    """A queue that costs a deque's append and popleft as long as jobs come in order; those that do not go to a heap beside it.

    Jobs that no longer wait are skipped when they reach the head, and swept out before they outnumber the others.
    """

    __slots__ = ("_by_deadline", "_early", "_last_ns", "_line", "held", "rows")

    def __init__(self, *, by_deadline: bool = False) -> None:
        """Jobs are in the order in which they are due, or of their deadlines; neither changes while they wait."""
        self.rows = 0
        """Rows that wait, as far as the owner of the line counts them."""
        self.held = False
        """Whether it had a free lane and was made to wait for company."""
        self._by_deadline = by_deadline
        self._line: deque[Job] = deque()
        self._last_ns = 0
        """The instant of the last job in the deque."""
        self._early: list[tuple[int, int, Job]] = []

    @property
    def turn(self) -> float:
        """What the party of the head has had of the queue; nobody is told apart here."""
        return 0.0

    def __len__(self) -> int:
        return len(self._line) + len(self._early)

    def _instant(self, job: Job) -> int:
        return job.deadline_ns if self._by_deadline else job.due_ns

    def push(self, job: Job) -> None:
        """Take a job in."""
        instant_ns = self._instant(job)
        if instant_ns >= self._last_ns or not self._line:
            self._last_ns = instant_ns
            self._line.append(job)
        else:
            heapq.heappush(self._early, (instant_ns, job.number, job))

    def head(self) -> Job | None:
        """Return the first job that waits."""
        line, early = self._line, self._early
        while line and line[0].state != WAITING:
            line.popleft()
        if not early:
            return line[0] if line else None
        while early and early[0][2].state != WAITING:
            heapq.heappop(early)
        if early and (not line or early[0][:2] < (self._instant(line[0]), line[0].number)):
            return early[0][2]
        return line[0] if line else None

    def pop(self) -> Job:
        """Remove and return what `head` has returned."""
        if self._early and self.head() is self._early[0][2]:
            return heapq.heappop(self._early)[2]
        return self._line.popleft()

    def clear(self) -> None:
        """Drop everything."""
        self._line.clear()
        self._early.clear()

    def sweep(self) -> None:
        """Drop what no longer waits."""
        self._line = deque(job for job in self._line if job.state == WAITING)
        self._early = [entry for entry in self._early if entry[2].state == WAITING]
        heapq.heapify(self._early)
