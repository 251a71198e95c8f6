"""Which jobs run when not all can end in time."""

from itertools import combinations

import hypothesis.strategies as st
from hypothesis import given

from penstock.batching.job import Job, Key
from penstock.batching.window import choose


def jobs(*deadlines: int) -> list[Job]:
    """Return jobs of one row with those deadlines, in that order."""
    return [Job({}, 1, Key(("Y",)), deadline_ns=deadline) for deadline in deadlines]


def expect(rows: int) -> int:
    """Return 10 plus 1 for each row."""
    return 10 + rows


def test_all_run_when_all_can() -> None:
    """Nobody is given up or put off."""
    window = choose(jobs(20, 20, 20), 0, expect)

    assert (len(window.run), len(window.later), len(window.hopeless)) == (3, 0, 0)


def test_job_that_could_not_make_it_alone_goes_first() -> None:
    """It is dropped before it costs anybody anything."""
    late, *others = queue = jobs(10, 30, 30)

    window = choose(queue, 0, expect)

    assert (window.run, window.hopeless) == (others, [late])


def test_tight_head_runs_in_a_smaller_batch_when_the_others_can_follow() -> None:
    """With time to spare behind, nobody has to be given up."""
    queue = jobs(11, 40, 40, 40)

    window = choose(queue, 0, expect)

    assert (window.run, window.later, window.hopeless) == (queue[:1], queue[1:], [])


def test_tight_head_is_given_up_when_it_would_cost_the_others() -> None:
    """One nearly expired job does not shrink the batch of all others."""
    queue = jobs(11, 14, 14, 14)

    window = choose(queue, 0, expect)

    assert (window.run, window.hopeless) == (queue[1:], queue[:1])


@given(st.lists(st.integers(0, 40), max_size=8))
def test_whoever_runs_makes_it_and_nobody_is_lost(deadlines: list[int]) -> None:
    """The three parts hold every job once, and the run keeps all its deadlines."""
    queue = jobs(*sorted(deadlines))

    window = choose(queue, 0, expect)

    assert sorted(map(id, [*window.run, *window.later, *window.hopeless])) == sorted(map(id, queue))
    assert all(expect(len(window.run)) <= job.deadline_ns for job in window.run)
    assert window.run or not any(expect(1) <= job.deadline_ns for job in queue)


@given(st.lists(st.integers(11, 45), min_size=1, max_size=7))
def test_no_schedule_of_two_runs_serves_more(deadlines: list[int]) -> None:
    """Brute force over all divisions into a first and a second run never saves more jobs than the window does."""
    queue = jobs(*sorted(deadlines))

    window = choose(queue, 0, expect)
    saved = len(window.run) + (len(window.later) if _in_time(window.later, expect(len(window.run))) else 0)

    assert saved >= max(len(first) for size in range(len(queue) + 1) for first in combinations(queue, size) if _in_time(list(first), 0))


def _in_time(batch: list[Job], start: int) -> bool:
    return all(start + expect(len(batch)) <= job.deadline_ns for job in batch)
