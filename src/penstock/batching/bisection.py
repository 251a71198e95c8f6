"""A failed batch, halved until the offenders stand alone."""

from collections.abc import Sequence

from penstock.batching.job import WAITING, Job


class _Half:
    """Jobs that shared a failed run, and the other half of it."""

    __slots__ = ("guilty", "jobs", "twin")

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.twin: _Half | None = None
        self.guilty = False
        """Whether the other half has passed, so that the offender is here."""


class Bisection:
    """Group testing with at most 2 log2(b) more runs for one offender in b jobs; one run of a bisection at a time.

    A half whose twin has passed is divided without being run. A job that fails alone is not blamed before anything has passed in the
    same incident: a broken lane fails everything.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Start from jobs that have failed together."""
        self.sound = False
        """Whether something has passed since."""
        self.alone: list[Job] = []
        """Jobs that failed alone."""
        self._halves: list[_Half] = []
        self._tried: _Half | None = None
        self.failed(jobs)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to run."""
        return not any(job.state == WAITING for half in self._halves for job in half.jobs)

    def next(self) -> Sequence[Job]:
        """Return what to run next; empty when no half is left."""
        while self._halves:
            half = self._halves.pop()
            jobs = [job for job in half.jobs if job.state == WAITING]
            if len(jobs) > 1 and half.guilty:
                self._divide(jobs)
            elif jobs:
                self._tried = half
                return jobs
        return ()

    def passed(self) -> None:
        """Hear that the last half's run succeeded."""
        self.sound = True
        if self._tried is not None and self._tried.twin is not None:
            self._tried.twin.guilty = True

    def failed(self, jobs: Sequence[Job]) -> None:
        """Hear that these jobs have failed together."""
        if len(jobs) > 1:
            self._divide(jobs)
        else:
            self.alone += jobs

    def _divide(self, jobs: Sequence[Job]) -> None:
        middle = len(jobs) // 2
        first, second = _Half(jobs[:middle]), _Half(jobs[middle:])
        first.twin = second
        self._halves += [second, first]
