"""What the scheduler decides, event by event."""

from collections.abc import Callable, Sequence

import pytest

from penstock.batching.job import Job, JobState
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Action, Dispatch, Expire, Scheduler

MakeJob = Callable[..., Job]
LIMITS = BatchLimits(max_rows=4, queue_rows=8, queue_bytes=1000)


def dispatched(actions: Sequence[Action]) -> list[tuple[Job, ...]]:
    """Return the batches among the actions."""
    return [action.jobs for action in actions if isinstance(action, Dispatch)]


def counters(scheduler: Scheduler) -> tuple[int, int, int, int]:
    """Return everything that the scheduler counts."""
    return scheduler.waiting_jobs, scheduler.waiting_rows, scheduler.waiting_bytes, scheduler.running


def heap_entries(scheduler: Scheduler) -> int:
    """Return how many entries the scheduler's heaps hold."""
    return len(scheduler._deadlines) + sum(map(len, scheduler._queues.values()))


def test_waiting_jobs_share_a_batch_up_to_the_row_limit(make_job: MakeJob) -> None:
    """A free lane takes everything compatible that fits; what does not fit waits for the next lane."""
    scheduler = Scheduler(LIMITS, lanes=1)
    jobs = [make_job(rows=2), make_job(rows=2), make_job(rows=1)]
    scheduler.arrive(jobs)

    actions = scheduler.tick(0)

    assert dispatched(actions) == [(jobs[0], jobs[1])]
    assert counters(scheduler) == (1, 1, 0, 1)


def test_lone_job_leaves_at_once(make_job: MakeJob) -> None:
    """A free lane does not wait for company."""
    scheduler = Scheduler(LIMITS, lanes=2)
    job = make_job()
    scheduler.arrive([job])

    actions = scheduler.tick(0)

    assert dispatched(actions) == [(job,)]


def test_busy_lane_takes_nothing(make_job: MakeJob) -> None:
    """While the only lane runs, jobs wait; when it is done, it takes them."""
    scheduler = Scheduler(LIMITS, lanes=1)
    first, second = make_job(), make_job()
    scheduler.arrive([first])
    (run,) = scheduler.tick(0)
    scheduler.arrive([second])

    while_busy = scheduler.tick(1)
    assert isinstance(run, Dispatch)
    scheduler.batch_done(run.lane, run.jobs)
    after = scheduler.tick(2)

    assert while_busy == []
    assert dispatched(after) == [(second,)]


def test_several_free_lanes_all_take_work(make_job: MakeJob) -> None:
    """One tick fills every free lane, each with another lane number."""
    scheduler = Scheduler(LIMITS, lanes=3)
    scheduler.arrive([make_job(rows=4) for _ in range(4)])

    actions = scheduler.tick(0)

    assert sorted(action.lane for action in actions if isinstance(action, Dispatch)) == [0, 1, 2]
    assert counters(scheduler) == (1, 4, 0, 3)


def test_jobs_of_different_keys_never_share_a_batch(make_job: MakeJob) -> None:
    """Two keys mean two runs, the more urgent first."""
    scheduler = Scheduler(LIMITS, lanes=2)
    late, early = make_job(key="a", due_ns=9), make_job(key="b", due_ns=3)
    scheduler.arrive([late, early])

    actions = scheduler.tick(0)

    assert dispatched(actions) == [(early,), (late,)]


def test_without_togetherness_each_job_runs_alone(make_job: MakeJob) -> None:
    """Where requests may not share a run, a batch has one job."""
    scheduler = Scheduler(BatchLimits(4, 8, 1000, together=False), lanes=2)
    jobs = [make_job(), make_job()]
    scheduler.arrive(jobs)

    actions = scheduler.tick(0)

    assert dispatched(actions) == [(jobs[0],), (jobs[1],)]


@pytest.mark.parametrize("zero_first", [True, False], ids=["zero-first", "zero-second"])
def test_zero_row_job_runs_alone(make_job: MakeJob, zero_first: bool) -> None:
    """A job without rows neither takes company nor joins any."""
    scheduler = Scheduler(LIMITS, lanes=3)
    jobs = [make_job(rows=0 if zero_first else 1), make_job(rows=1 if zero_first else 0)]
    scheduler.arrive(jobs)

    actions = scheduler.tick(0)

    assert dispatched(actions) == [(jobs[0],), (jobs[1],)]


def test_order_is_priority_then_due_then_arrival(make_job: MakeJob) -> None:
    """The queue is served by priority, within it earliest due first, among equals first in first out."""
    scheduler = Scheduler(BatchLimits(8, 8, 1000), lanes=1)
    last = make_job(priority=2, due_ns=0)
    second, third = make_job(due_ns=5), make_job(due_ns=5)
    first = make_job(due_ns=4)
    urgent = make_job(priority=0, due_ns=9)
    scheduler.arrive([last, second, third, first, urgent])

    actions = scheduler.tick(0)

    assert dispatched(actions) == [(urgent, first, second, third, last)]


def test_deadline_passed_in_the_queue_expires_the_job(make_job: MakeJob) -> None:
    """A waiting job expires at its deadline, even where a lane is free; it never runs."""
    scheduler = Scheduler(LIMITS, lanes=1)
    late, live = make_job(deadline_ns=10), make_job(deadline_ns=11)
    scheduler.arrive([late, live])

    actions = scheduler.tick(10)

    assert actions == [Expire(late), Dispatch(0, (live,))]
    assert late.state is JobState.GONE


def test_running_job_never_expires(make_job: MakeJob) -> None:
    """A deadline that passes during the run has no effect, and wakes nobody."""
    scheduler = Scheduler(LIMITS, lanes=1)
    scheduler.arrive([make_job(deadline_ns=10)])
    scheduler.tick(0)

    actions = scheduler.tick(20)

    assert actions == []
    assert scheduler.next_wakeup_ns is None


def test_next_wakeup_is_the_earliest_deadline_of_a_waiting_job(make_job: MakeJob) -> None:
    """Running and cancelled jobs have no part in the wake-up."""
    scheduler = Scheduler(BatchLimits(1, 8, 1000), lanes=1)
    running, cancelled, waiting = make_job(deadline_ns=5), make_job(deadline_ns=6), make_job(deadline_ns=7)
    scheduler.arrive([running, cancelled, waiting])
    scheduler.tick(0)

    scheduler.cancel(cancelled)

    assert scheduler.next_wakeup_ns == 7


def test_cancelled_job_is_never_dispatched(make_job: MakeJob) -> None:
    """Cancelling a waiting job returns its room; its place in the queue is skipped."""
    scheduler = Scheduler(LIMITS, lanes=1)
    gone, stays = make_job(size_bytes=5), make_job(size_bytes=7)
    scheduler.arrive([gone, stays])

    scheduler.cancel(gone)
    scheduler.cancel(gone)

    assert counters(scheduler) == (1, 1, 7, 0)
    assert dispatched(scheduler.tick(0)) == [(stays,)]


def test_cancelling_a_running_job_changes_nothing(make_job: MakeJob) -> None:
    """What runs is left alone, and is counted once."""
    scheduler = Scheduler(LIMITS, lanes=1)
    job = make_job()
    scheduler.arrive([job])
    scheduler.tick(0)

    scheduler.cancel(job)

    assert job.state is JobState.RUNNING
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
def test_room_is_what_the_limits_leave(make_job: MakeJob, rows: int, size: int, fits: bool) -> None:
    """With all lanes busy and one row of one byte waiting, the limits bound what still fits."""
    scheduler = Scheduler(LIMITS, lanes=1)
    scheduler.arrive([make_job()])
    scheduler.tick(0)
    scheduler.arrive([make_job(size_bytes=1)])

    assert scheduler.has_room([make_job(rows=rows, size_bytes=size)]) is fits


def test_empty_queue_has_room_for_anything(make_job: MakeJob) -> None:
    """A request larger than the whole queue is served when nobody waits."""
    scheduler = Scheduler(LIMITS, lanes=1)

    assert scheduler.has_room([make_job(rows=10_000, size_bytes=10_000)])


def test_free_lanes_add_to_the_room(make_job: MakeJob) -> None:
    """What the free lanes take at the next tick does not count as waiting."""
    scheduler = Scheduler(LIMITS, lanes=1)
    scheduler.arrive([make_job(rows=4)])

    assert scheduler.has_room([make_job(rows=8)])
    assert not scheduler.has_room([make_job(rows=9)])


@pytest.mark.parametrize("size", [2, 3, 4, 7, 8, 13])
def test_bisection_isolates_exactly_the_offending_job(make_job: MakeJob, size: int) -> None:
    """Whichever job fails its batch, it alone ends alone and failed, and each other job ends once in a good run."""
    for offender in range(size):
        scheduler = Scheduler(BatchLimits(size, 100, 1000), lanes=1)
        jobs = [make_job() for _ in range(size)]
        scheduler.arrive(jobs)
        good: list[Job] = []
        failed: list[Job] = []
        runs = 0

        while actions := scheduler.tick(0):
            for lane, batch in [(a.lane, a.jobs) for a in actions if isinstance(a, Dispatch)]:
                runs += 1
                if jobs[offender] not in batch:
                    scheduler.batch_done(lane, batch)
                    good += batch
                elif len(batch) == 1:
                    scheduler.batch_done(lane, batch)
                    failed += batch
                else:
                    scheduler.batch_failed(lane, batch)

        assert failed == [jobs[offender]]
        assert sorted(map(id, good)) == sorted(id(job) for job in jobs if job is not jobs[offender])
        assert runs <= 1 + 2 * size.bit_length()
        assert counters(scheduler) == (0, 0, 0, 0)


def test_rerun_goes_before_the_queue(make_job: MakeJob) -> None:
    """Halves of a failed batch run before jobs that came later, and apart from them."""
    scheduler = Scheduler(BatchLimits(2, 100, 1000), lanes=1)
    first, second, later = make_job(), make_job(), make_job(due_ns=-1)
    scheduler.arrive([first, second])
    (run,) = scheduler.tick(0)
    scheduler.arrive([later])
    assert isinstance(run, Dispatch)

    scheduler.batch_failed(run.lane, run.jobs)

    assert dispatched(scheduler.tick(0)) == [(first,)]


def test_job_of_a_failed_batch_may_expire_or_be_cancelled_before_its_rerun(make_job: MakeJob) -> None:
    """A rerun is given only to those who still wait for it."""
    scheduler = Scheduler(LIMITS, lanes=1)
    late, gone = make_job(deadline_ns=5), make_job(deadline_ns=50)
    scheduler.arrive([late, gone])
    (run,) = scheduler.tick(0)
    assert isinstance(run, Dispatch)
    scheduler.batch_failed(run.lane, run.jobs)

    scheduler.cancel(gone)
    actions = scheduler.tick(6)

    assert actions == [Expire(late)]
    assert counters(scheduler) == (0, 0, 0, 0)


def test_cancelled_jobs_do_not_make_heaps_grow(make_job: MakeJob) -> None:
    """Callers who come and leave while a lane is busy leave no trace behind."""
    scheduler = Scheduler(LIMITS, lanes=1)
    scheduler.arrive([make_job()])
    scheduler.tick(0)
    largest = 0

    for _ in range(5000):
        job = make_job(deadline_ns=1 << 40)
        scheduler.arrive([job])
        scheduler.cancel(job)
        largest = max(largest, heap_entries(scheduler))

    assert largest <= 150


def test_finished_jobs_do_not_make_heaps_grow(make_job: MakeJob) -> None:
    """Jobs that ran long before their deadlines are forgotten."""
    scheduler = Scheduler(LIMITS, lanes=1)
    largest = 0

    for _ in range(5000):
        scheduler.arrive([make_job(deadline_ns=1 << 40)])
        (run,) = scheduler.tick(0)
        assert isinstance(run, Dispatch)
        scheduler.batch_done(run.lane, run.jobs)
        assert scheduler.next_wakeup_ns is None
        largest = max(largest, heap_entries(scheduler))

    assert largest <= 150


def test_keys_without_jobs_are_forgotten(make_job: MakeJob) -> None:
    """A queue per shape lasts no longer than its jobs."""
    scheduler = Scheduler(LIMITS, lanes=1)

    for number in range(500):
        scheduler.arrive([make_job(key=str(number))])
        (run,) = scheduler.tick(0)
        assert isinstance(run, Dispatch)
        scheduler.batch_done(run.lane, run.jobs)

    assert scheduler._queues == {}
