"""What the scheduler decides, event by event."""

import math
from collections.abc import Callable, Sequence

import pytest

from penstock.batching.actions import Action, Blame, Dispatch, Expire
from penstock.batching.job import GONE, RUNNING, Job
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler

MakeJob = Callable[..., Job]
MakeScheduler = Callable[..., Scheduler]


def dispatched(actions: Sequence[Action]) -> list[list[Job]]:
    """Return the batches among the actions."""
    return [list(action.jobs) for action in actions if isinstance(action, Dispatch)]


def the_run(actions: Sequence[Action]) -> Dispatch:
    """Return the only action, which is a run."""
    (run,) = actions
    return run


def counters(scheduler: Scheduler) -> tuple[int, int, int, int]:
    """Return everything that the scheduler counts."""
    backlog = scheduler.backlog
    return backlog.jobs, backlog.rows, backlog.size_bytes, scheduler.running


def heap_entries(scheduler: Scheduler) -> int:
    """Return how many entries the scheduler's lines hold."""
    return len(scheduler._queues._deadlines) + sum(map(len, scheduler._queues._lines.values()))


def test_waiting_jobs_share_a_batch_up_to_the_row_limit(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A free lane takes everything compatible that fits; what does not fit waits for the next lane."""
    scheduler = make_scheduler()
    jobs = [make_job(rows=2), make_job(rows=2), make_job(rows=1)]
    scheduler.arrive(jobs, 0)

    actions = scheduler.tick(0)

    assert dispatched(actions) == [[jobs[0], jobs[1]]]
    assert counters(scheduler) == (1, 1, 0, 1)


def test_lone_job_leaves_at_once(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A free lane does not wait for company."""
    scheduler = make_scheduler(lanes=2)
    job = make_job()
    scheduler.arrive([job], 0)

    actions = scheduler.tick(0)

    assert dispatched(actions) == [[job]]


def test_busy_lane_takes_nothing(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """While the only lane runs, jobs wait; when it is done, it takes them."""
    scheduler = make_scheduler()
    first, second = make_job(), make_job()
    scheduler.arrive([first], 0)
    run = the_run(scheduler.tick(0))
    scheduler.arrive([second], 0)

    while_busy = scheduler.tick(1)
    scheduler.done(run, 1)
    after = scheduler.tick(2)

    assert while_busy == []
    assert dispatched(after) == [[second]]


def test_several_free_lanes_all_take_work(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """One tick fills every free lane, each with another lane number."""
    scheduler = make_scheduler(lanes=3)
    scheduler.arrive([make_job(rows=4) for _ in range(4)], 0)

    actions = scheduler.tick(0)

    assert sorted(action.lane for action in actions if isinstance(action, Dispatch)) == [0, 1, 2]
    assert counters(scheduler) == (1, 4, 0, 3)


def test_jobs_of_different_keys_never_share_a_batch(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Two keys mean two runs, the more urgent first."""
    scheduler = make_scheduler(lanes=2)
    late, early = make_job(key="a", due_ns=9), make_job(key="b", due_ns=3)
    scheduler.arrive([late, early], 0)

    actions = scheduler.tick(0)

    assert dispatched(actions) == [[early], [late]]


def test_without_togetherness_each_job_runs_alone(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Where requests may not share a run, a batch has one job."""
    scheduler = make_scheduler(BatchLimits(4, 8, 1000, together=False), lanes=2)
    jobs = [make_job(), make_job()]
    scheduler.arrive(jobs, 0)

    actions = scheduler.tick(0)

    assert dispatched(actions) == [[jobs[0]], [jobs[1]]]


@pytest.mark.parametrize("zero_first", [True, False], ids=["zero-first", "zero-second"])
def test_zero_row_job_runs_alone(make_scheduler: MakeScheduler, make_job: MakeJob, zero_first: bool) -> None:
    """A job without rows neither takes company nor joins any."""
    scheduler = make_scheduler(lanes=3)
    jobs = [make_job(rows=0 if zero_first else 1), make_job(rows=1 if zero_first else 0)]
    scheduler.arrive(jobs, 0)

    actions = scheduler.tick(0)

    assert dispatched(actions) == [[jobs[0]], [jobs[1]]]


def test_order_is_due_then_arrival(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """The queue is served earliest due first, among equals first in first out; priority has moved the due time already."""
    scheduler = make_scheduler(BatchLimits(8, 8, 1000))
    second, third = make_job(due_ns=5), make_job(due_ns=5)
    last = make_job(due_ns=9, priority=0)
    first = make_job(due_ns=4)
    scheduler.arrive([second, third, last, first], 0)

    actions = scheduler.tick(0)

    assert dispatched(actions) == [[first, second, third, last]]


def test_deadline_passed_in_the_queue_expires_the_job(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A waiting job expires at its deadline, even where a lane is free; it never runs."""
    scheduler = make_scheduler()
    late, live = make_job(deadline_ns=10), make_job(deadline_ns=11)
    scheduler.arrive([late, live], 0)

    actions = scheduler.tick(10)

    assert [type(action) for action in actions] == [Expire, Dispatch]
    assert dispatched(actions) == [[live]]
    assert late.state is GONE


def test_running_job_never_expires(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A deadline that passes during the run has no effect, and wakes nobody."""
    scheduler = make_scheduler()
    scheduler.arrive([make_job(deadline_ns=10)], 0)
    scheduler.tick(0)

    actions = scheduler.tick(20)

    assert actions == []
    assert scheduler.next_wakeup_ns is None


def test_next_wakeup_is_the_earliest_deadline_of_a_waiting_job(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Running and cancelled jobs have no part in the wake-up."""
    scheduler = make_scheduler(BatchLimits(1, 8, 1000))
    running, cancelled, waiting = make_job(deadline_ns=5), make_job(deadline_ns=6), make_job(deadline_ns=7)
    scheduler.arrive([running, cancelled, waiting], 0)
    scheduler.tick(0)

    scheduler.cancel(cancelled)

    assert scheduler.next_wakeup_ns == 7


def test_cancelled_job_is_never_dispatched(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Cancelling a waiting job returns its room; its place in the queue is skipped."""
    scheduler = make_scheduler()
    gone, stays = make_job(size_bytes=5), make_job(size_bytes=7)
    scheduler.arrive([gone, stays], 0)

    scheduler.cancel(gone)
    scheduler.cancel(gone)

    assert counters(scheduler) == (1, 1, 7, 0)
    assert dispatched(scheduler.tick(0)) == [[stays]]


def test_cancelling_a_running_job_changes_nothing(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """What runs is left alone, and is counted once."""
    scheduler = make_scheduler()
    job = make_job()
    scheduler.arrive([job], 0)
    scheduler.tick(0)

    scheduler.cancel(job)

    assert job.state is RUNNING
    assert counters(scheduler) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("rows", "size", "fits"),
    [
        pytest.param(7, 0, True, id="rows-at-the-limit"),
        pytest.param(8, 0, False, id="rows-above"),
        pytest.param(1, 999, True, id="bytes-at-the-limit"),
        pytest.param(1, 1000, False, id="bytes-above"),
    ],
)
def test_room_is_what_the_limits_leave(make_scheduler: MakeScheduler, make_job: MakeJob, rows: int, size: int, fits: bool) -> None:
    """With all lanes busy and one row of one byte waiting, the limits bound what still fits."""
    scheduler = make_scheduler()
    scheduler.arrive([make_job()], 0)
    scheduler.tick(0)
    scheduler.arrive([make_job(size_bytes=1)], 0)

    assert (scheduler.arrive([make_job(rows=rows, size_bytes=size)], 0) is None) is fits


def test_empty_queue_has_room_for_anything(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A request larger than the whole queue is served when nobody waits."""
    scheduler = make_scheduler()

    assert scheduler.arrive([make_job(rows=10_000, size_bytes=10_000)], 0) is None


def test_free_lanes_add_to_the_room(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """What the free lanes take at the next tick does not count as waiting."""
    scheduler = make_scheduler()
    scheduler.arrive([make_job(rows=4)], 0)

    assert scheduler.arrive([make_job(rows=9)], 0) is not None
    assert scheduler.arrive([make_job(rows=8)], 0) is None


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 13])
def test_bisection_isolates_exactly_the_offending_job(make_scheduler: MakeScheduler, make_job: MakeJob, size: int) -> None:
    """Whichever job fails its batch, it alone ends alone and failed, and each other job ends once in a good run."""
    for offender in range(size):
        scheduler = make_scheduler(BatchLimits(size, 100, 1000))
        jobs = [make_job() for _ in range(size)]
        scheduler.arrive(jobs, 0)
        good: list[Job] = []
        failed: list[Job] = []
        runs = 0

        while actions := scheduler.tick(0):
            failed += [action.job for action in actions if isinstance(action, Blame)]
            for run in [action for action in actions if isinstance(action, Dispatch)]:
                runs += 1
                if jobs[offender] in run.jobs:
                    scheduler.failed(run, 1)
                else:
                    good += run.jobs
                    scheduler.done(run, 1)

        assert failed == [jobs[offender]]
        assert sorted(map(id, good)) == sorted(id(job) for job in jobs if job is not jobs[offender])
        assert runs <= 1 + 2 * math.ceil(math.log2(size))
        assert counters(scheduler) == (0, 0, 0, 0)


def test_rerun_goes_before_the_queue(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Halves of a failed batch run before jobs that came later, and apart from them."""
    scheduler = make_scheduler(BatchLimits(2, 100, 1000))
    first, second, later = make_job(), make_job(), make_job(due_ns=-1)
    scheduler.arrive([first, second], 0)
    run = the_run(scheduler.tick(0))
    scheduler.arrive([later], 0)

    scheduler.failed(run, 1)

    assert dispatched(scheduler.tick(0)) == [[first]]


def test_job_of_a_failed_batch_may_expire_or_be_cancelled_before_its_rerun(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A rerun is given only to those who still wait for it."""
    scheduler = make_scheduler()
    late, gone = make_job(deadline_ns=5), make_job(deadline_ns=50)
    scheduler.arrive([late, gone], 0)
    run = the_run(scheduler.tick(0))
    scheduler.failed(run, 1)

    scheduler.cancel(gone)
    actions = scheduler.tick(6)

    assert [action.job for action in actions if isinstance(action, Expire)] == [late]
    assert counters(scheduler) == (0, 0, 0, 0)


def test_cancelled_jobs_do_not_make_heaps_grow(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Callers who come and leave while a lane is busy leave no trace behind."""
    scheduler = make_scheduler()
    scheduler.arrive([make_job()], 0)
    scheduler.tick(0)
    largest = 0

    for _ in range(5000):
        job = make_job(deadline_ns=1 << 40)
        scheduler.arrive([job], 0)
        scheduler.cancel(job)
        largest = max(largest, heap_entries(scheduler))

    assert largest <= 150


def test_finished_jobs_do_not_make_heaps_grow(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Jobs that ran long before their deadlines are forgotten."""
    scheduler = make_scheduler()
    largest = 0

    for _ in range(5000):
        scheduler.arrive([make_job(deadline_ns=1 << 40)], 0)
        run = the_run(scheduler.tick(0))
        scheduler.done(run, 1)
        assert scheduler.next_wakeup_ns is None
        largest = max(largest, heap_entries(scheduler))

    assert largest <= 150


def test_keys_without_jobs_are_forgotten(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A queue per shape lasts no longer than its jobs."""
    scheduler = make_scheduler()

    for number in range(500):
        scheduler.arrive([make_job(key=str(number))], 0)
        run = the_run(scheduler.tick(0))
        scheduler.done(run, 1)

    scheduler.tick(1)
    assert heap_entries(scheduler) <= 1
