"""Jobs in order: a deque for those that come in order, a heap for the others."""

from collections.abc import Callable

import hypothesis.strategies as st
from hypothesis import given

from penstock.batching.job import GONE, Job, Key
from penstock.batching.line import Line

MakeJob = Callable[..., Job]


def filled(dues: list[int], gone: list[bool]) -> tuple[Line, list[Job]]:
    """Return a line of jobs with those due times, some of which have left, and those that still wait."""
    line, jobs = Line(), []
    for number, due_ns in enumerate(dues):
        job = Job({}, 1, Key(("Y",)), due_ns=due_ns)
        job.number = number
        line.push(job)
        jobs.append(job)
    for job, left in zip(jobs, gone, strict=False):
        job.state = GONE if left else job.state
    return line, [job for job in jobs if job.state != GONE]


@given(st.lists(st.integers(0, 9), max_size=30), st.lists(st.booleans(), min_size=30, max_size=30), st.booleans())
def test_jobs_come_out_by_instant_then_arrival(dues: list[int], gone: list[bool], swept: bool) -> None:
    """Whatever order they came in, and whoever has left; a sweep changes nothing but memory."""
    line, waiting = filled(dues, gone)
    if swept:
        line.sweep()

    out = []
    while line.head() is not None:
        out.append(line.pop())

    assert out == sorted(waiting, key=lambda job: (job.due_ns, job.number))


def test_jobs_in_order_need_no_heap() -> None:
    """The common case costs an append."""
    line, _ = filled([1, 1, 2, 5], [False] * 4)

    assert line._early == []


def test_sweep_forgets_those_that_have_left() -> None:
    """Both parts of the line shrink."""
    line, waiting = filled([5, 1, 6, 2], [True, True, False, False])

    line.sweep()

    assert len(line) == len(waiting) == 2
