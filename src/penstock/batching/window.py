"""Which jobs to run when not all can end in time."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from penstock.batching.job import Job


class Window(NamedTuple):
    """Jobs in the order of their due time, divided."""

    run: list[Job]
    later: list[Job]
    """Jobs that can still make it after this run."""
    hopeless: list[Job]


def choose(jobs: Sequence[Job], now_ns: int, expect: Callable[[int], int], *, crowded: bool = False) -> Window:
    """Divide jobs so that one tight deadline neither shrinks the batch of all others nor is given up without need.

    First the jobs that could not make it even alone go. If the rest cannot all run together, the head runs in a smaller batch when
    nobody else waits (`crowded`) and those behind can follow in a second one; otherwise the earliest are given up until the remaining
    batch fits (the early drop of Nexus, SOSP 2019: a window slides to where a whole batch makes it).
    """
    able = [job for job in jobs if now_ns + expect(job.rows) <= job.deadline_ns]
    hopeless = [job for job in jobs if now_ns + expect(job.rows) > job.deadline_ns]
    first = _first_fitting(able, now_ns, expect)
    if not first:
        return Window(able, [], hopeless)
    small = 0 if crowded else _longest_start(able, now_ns, expect)
    after_ns = now_ns + expect(_rows(able[:small]))
    if small and _fits(able[small:], after_ns, expect):
        return Window(able[:small], able[small:], hopeless)
    return Window(able[first:], [], hopeless + able[:first])


def _first_fitting(jobs: Sequence[Job], now_ns: int, expect: Callable[[int], int]) -> int:
    """Return where the longest tail begins whose jobs make it together."""
    return next((start for start in range(len(jobs)) if _fits(jobs[start:], now_ns, expect)), len(jobs))


def _longest_start(jobs: Sequence[Job], now_ns: int, expect: Callable[[int], int]) -> int:
    return next((end for end in range(len(jobs) - 1, 0, -1) if _fits(jobs[:end], now_ns, expect)), 0)


def _fits(jobs: Sequence[Job], now_ns: int, expect: Callable[[int], int]) -> bool:
    return not jobs or now_ns + expect(_rows(jobs)) <= min(job.deadline_ns for job in jobs)


def _rows(jobs: Sequence[Job]) -> int:
    return sum(job.rows for job in jobs)
