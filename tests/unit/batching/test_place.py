"""Where a run goes: what is expected of it against what a hop to a thread costs."""

from penstock.batching.place import RunPlace
from penstock.domain.batch import Run

HOP_NS = 50_000


def took(infer_ns: int, busy_ns: int | None = None) -> Run:
    """Return a run of that length, all of which was computed unless something else is said."""
    return Run(infer_ns=infer_ns, busy_ns=infer_ns if busy_ns is None else busy_ns)


def test_warm_up_decides_about_the_first_run() -> None:
    """Of a size between two measured ones, the larger one counts."""
    place = RunPlace(HOP_NS, {1: 10_000, 4: 40_000, 64: 400_000})

    assert [rows for rows in (1, 2, 4, 5, 64) if place.is_here(rows)] == [1, 2, 4]


def test_size_above_all_measured_ones_and_a_version_never_warmed_go_to_a_thread() -> None:
    """Nobody knows how long they would hold the event loop."""
    assert not RunPlace(HOP_NS, {4: 10_000}).is_here(5)
    assert not RunPlace(HOP_NS, {}).is_here(1)


def test_no_run_belongs_on_the_loop_without_a_hop() -> None:
    """Devices other than the CPU say so by 0."""
    assert not RunPlace(0, {1: 1}).is_here(1)


def test_runs_that_become_slow_leave_the_loop() -> None:
    """Some slow runs are enough."""
    place = RunPlace(HOP_NS, {1: 10_000})

    for _ in range(3):
        place.ran_here(1, took(200_000))

    assert not place.is_here(1)


def test_one_slow_run_among_fast_ones_changes_nothing() -> None:
    """A machine that was busy for a moment is no reason."""
    place = RunPlace(HOP_NS, {1: 10_000})

    place.ran_here(1, took(100_000))

    assert place.is_here(1)


def test_runs_of_about_a_hop_do_not_change_sides() -> None:
    """Where the last one ran, the next one runs."""
    here, there = RunPlace(HOP_NS, {1: 40_000}), RunPlace(HOP_NS, {1: 60_000})

    for _ in range(20):
        here.ran_here(1, took(60_000))
        there.ran_there(1, took(60_000))

    assert here.is_here(1)
    assert not there.is_here(1)


def test_run_that_waits_for_the_interpreter_stays_on_the_loop() -> None:
    """A thread would have to wait as well: five milliseconds, where others compute, whatever the run takes."""
    place = RunPlace(HOP_NS, {1: 10_000})

    for _ in range(10):
        place.ran_here(1, took(5_000_000, 12_000))

    assert place.is_here(1)


def test_runs_that_become_short_come_back() -> None:
    """The shortest run on a thread tells: the others have waited for the interpreter."""
    place = RunPlace(HOP_NS, {1: 200_000})

    place.ran_there(1, took(5_000_000))
    assert not place.is_here(1)
    place.ran_there(1, took(20_000))
    assert place.is_here(1)


def test_size_never_measured_is_learnt_on_a_thread() -> None:
    """And then belongs on the loop."""
    place = RunPlace(HOP_NS, {})

    place.ran_there(3, took(20_000))

    assert place.is_here(3)
