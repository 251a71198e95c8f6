"""Which jobs of a line run next."""

from collections.abc import Callable, Sequence
from typing import Final

from penstock.batching.company import joined
from penstock.batching.job import NEVER_NS, Job
from penstock.batching.lane_kind import LaneKind
from penstock.batching.limits import BatchLimits
from penstock.batching.line import Line
from penstock.batching.queues import Queues
from penstock.batching.speed import Speed
from penstock.batching.window import Window, choose

_CROWD: Final = 1.25


class Selection:
    """Takes jobs out of their lines so that whoever runs makes it."""

    def __init__(self, limits: BatchLimits, slo_ns: int, queues: Queues) -> None:
        self._limits = limits
        self._slo_ns = slo_ns
        self._queues = queues

    def take(self, line: Line, kind: LaneKind, rows: int, now_ns: int) -> Window:
        """Divide the first jobs of a line: those of the next run can all make it, others stay in the line, and the hopeless leave it."""
        jobs = self._queues.take(line, rows, together=self._limits.together)
        if jobs[0].length:
            return self._gathered(jobs, kind, now_ns)
        takes = self._estimate(kind.latency, rows)
        if kind.latency.cold or _first_deadline_ns(jobs) >= now_ns + takes(rows):
            return Window(jobs, [], [])
        window = self._able(jobs, kind, takes, now_ns)
        hopeless = window.hopeless
        while window.hopeless and (more := self._more(line, rows - sum([job.rows for job in window.run]))):
            window = self._able(window.run + more, kind, takes, now_ns)
            hopeless = hopeless + window.hopeless
        return window._replace(hopeless=hopeless)

    def _more(self, line: Line, rows: int) -> list[Job]:
        """Return jobs for the room that the hopeless have left."""
        head = line.head()
        return self._queues.take(line, rows, together=True) if self._limits.together and head and 0 < head.rows <= rows else []

    def _gathered(self, jobs: list[Job], kind: LaneKind, now_ns: int) -> Window:
        """Return jobs that may be padded, with company from neighbouring buckets unless an idle lane could serve those beside them."""
        if self._limits.together and not (kind.independent and len(kind.free) > 1):
            jobs = joined(jobs, self._queues, kind.latency, lambda length: kind.cap(self._limits, self._slo_ns, length))
        speed = kind.speed(max([job.key.length for job in jobs]))
        rows = sum([job.rows for job in jobs])
        takes = self._estimate(speed, rows * max([job.key.length for job in jobs]))
        if speed.cold or _first_deadline_ns(jobs) >= now_ns + takes(rows):
            return Window(jobs, [], [])
        return self._able(jobs, kind, takes, now_ns)

    def _estimate(self, speed: Speed, cost: int) -> Callable[[int], int]:
        """Return what tells who would be late.

        Where a crowd waits behind, time spent on an answer that comes too late is another's answer lost, so whoever may be late goes;
        without one only who is expected to be. Backlog counts the jobs of the run too, until they start.
        """
        return speed.bound if self._queues.backlog.cost > _CROWD * cost else speed.expect

    def _able(self, jobs: list[Job], kind: LaneKind, takes: Callable[[int], int], now_ns: int) -> Window:
        window = choose(jobs, now_ns, takes, crowded=self._queues.backlog.jobs > len(jobs))
        if not window.run and kind.is_doubtful(now_ns):
            return Window(jobs, [], [])
        for job in window.later:
            self._queues.put_back(job)
        for job in window.hopeless:
            self._queues.cancel(job)
        return window


def _first_deadline_ns(jobs: Sequence[Job]) -> int:
    """Return the earliest deadline; compiled, `min` of a list would make an object of each."""
    first_ns = NEVER_NS
    for job in jobs:
        first_ns = min(first_ns, job.deadline_ns)
    return first_ns
