"""The jobs that wait: a line for each key, and one over all of them by deadline."""

from collections.abc import Sequence
from typing import Final

from penstock.batching.backlog import Backlog
from penstock.batching.job import GONE, RUNNING, WAITING, Job, Key
from penstock.batching.line import Line
from penstock.batching.turns import FairLine, Turns
from penstock.domain.clock import NS_PER_S

_LATELY_NS: Final = NS_PER_S
_SLACK: Final = 64
"""Jobs that have left may outnumber those that wait by so many before they are swept out."""


class Queues:
    """Takes jobs in, and gives them out in the order in which they are due."""

    def __init__(self) -> None:
        self.backlog: Final = Backlog()
        self.quiet_until_ns = 0
        """Until when there is a quiet party: one has begun to wait beside another lately."""
        self.credit = 0.0
        """By how much of its part a party may be ahead that did not wait before."""
        self._lines: dict[Key, Line] = {}
        self._turns = Turns()
        self._deadlines = Line(by_deadline=True)
        self._arrivals = 0
        self._gone = 0

    def push(self, job: Job) -> None:
        """Let a job wait."""
        self._arrivals += 1
        job.number = self._arrivals
        if job.party is not None and job.party not in self.backlog.parts:
            self._turns.joined(job.party, self.credit)
            if self.backlog.parts:
                self.quiet_until_ns = job.queued_ns + _LATELY_NS
        self._stand(job)
        self._deadlines.push(job)
        self.backlog.add(job)

    def push_again(self, job: Job) -> None:
        """Let a job wait that ran in a batch that failed: it has its own way to a lane, but it may still expire."""
        job.state = WAITING
        self._deadlines.push(job)
        self.backlog.add(job)

    def put_back(self, job: Job) -> None:
        """Let a job wait that was taken and not started."""
        if job.party is not None:
            self._turns.returned(job)
        self._stand(job)

    def cancel(self, job: Job) -> None:
        """Forget a job that has not started."""
        if job.state != WAITING:
            return
        job.state = GONE
        self.backlog.remove(job)
        if job.line is not None:
            job.line.rows -= job.rows
            job.line = None
        self._gone += 1
        if not self.backlog.jobs:
            self.rest()
        elif self._gone > 2 * self.backlog.jobs + _SLACK:
            self._sweep()

    def start(self, jobs: Sequence[Job]) -> int:
        """Count jobs as running, and return their rows."""
        rows = 0
        for job in jobs:
            job.state = RUNNING
            self.backlog.remove(job)
            rows += job.rows
        return rows

    def take(self, line: Line, most: int, *, together: bool) -> list[Job]:
        """Remove and return the first jobs that run together: at least one, then as many as fit into `most` rows.

        A job without rows runs alone: what a model makes of no rows is nobody else's business.
        """
        jobs: list[Job] = []
        rows = 0
        while (job := line.head()) is not None:
            if jobs and (not together or not job.rows or not rows or rows + job.rows > most):
                break
            line.pop()
            job.line = None
            jobs.append(job)
            rows += job.rows
        line.rows -= rows
        return jobs

    def neighbours(self, key: Key) -> list[tuple[int, Line, Job]]:
        """Return the lines whose jobs differ from those of a key in their length alone, with length and head, the nearest first."""
        alike = [(other.length, line) for other, line in self._lines.items() if other.is_like(key) and other.length != key.length]
        alike.sort(key=lambda entry: max(entry[0], key.length) / min(entry[0], key.length))
        return [(length, line, head) for length, line in alike if (head := line.head()) is not None]

    def in_order(self) -> list[tuple[Key, Line, Job]]:
        """Return the lines in which jobs wait, with the job at the head: by whose turn it is, then the most urgent first."""
        if len(self._lines) == 1:  # as nearly always
            ((key, line),) = self._lines.items()
            if (head := line.head()) is not None:
                return [(key, line, head)]
        heads = []
        for key, line in list(self._lines.items()):
            head = line.head()
            if head is None:
                del self._lines[key]
            else:
                heads.append((key, line, head))
        if len(heads) > 1:
            heads.sort(key=lambda entry: (entry[1].turn, entry[2].due_ns, entry[2].number))
        return heads

    def expired(self, now_ns: int) -> list[Job]:
        """Remove and return the jobs whose deadline has passed."""
        expired: list[Job] = []
        if len(self._deadlines) > 2 * self.backlog.jobs + _SLACK:
            self._deadlines.sweep()
        while (job := self._deadlines.head()) is not None and job.deadline_ns <= now_ns:
            self._deadlines.pop()
            self.cancel(job)
            expired.append(job)
        return expired

    def first_deadline_ns(self) -> int | None:
        """Return the earliest deadline of a job that waits."""
        first = self._deadlines.head()
        return None if first is None else first.deadline_ns

    def rest(self) -> None:
        """Keep no job: none waits."""
        self._deadlines.clear()
        if self._gone or self._turns.had_any:  # the lines hold the jobs that have left, and remember whose turn it is
            self._gone = 0
            self._lines.clear()
            self._turns.rest()

    def _stand(self, job: Job) -> None:
        line = self._lines.get(job.key)
        if line is None:
            line = self._lines[job.key] = Line() if job.party is None else FairLine(self._turns)
        line.push(job)
        line.rows += job.rows
        job.line = line

    def _sweep(self) -> None:
        """Drop what no longer waits from every line, so that callers who leave do not make them grow."""
        self._gone = 0
        self._deadlines.sweep()
        for key, line in list(self._lines.items()):
            line.sweep()
            if not len(line):
                del self._lines[key]
