"""What the scheduler makes of what it has learnt: sizes, targets, deadlines, lanes of several kinds, and broken ones."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from penstock.batching.actions import Action, Blame, Check, Dispatch, Expire, Lost, Reason
from penstock.batching.job import Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.room import Shortage
from penstock.batching.scheduler import Scheduler
from penstock.batching.share import DeviceShare
from penstock.domain.clock import NS_PER_MS, NS_PER_S

MakeJob = Callable[..., Job]
MakeScheduler = Callable[..., Scheduler]
LIMITS = BatchLimits(max_rows=64)
GATHERS = {rows: 4 * NS_PER_MS + rows * NS_PER_MS // 10 for rows in (1, 2, 4, 8, 16, 32, 64)}
"""4 ms and 0.1 ms for each row: batching pays."""
ALONE = {rows: NS_PER_MS // 50 + rows * 2 * NS_PER_MS for rows in (1, 2, 4, 8, 16, 32, 64)}
"""0.02 ms and 2 ms for each row: it does not."""
FLAT = {1: 4 * NS_PER_MS, 2: 4 * NS_PER_MS, 4: 4 * NS_PER_MS, 8: 8 * NS_PER_MS, 16: 16 * NS_PER_MS, 64: 64 * NS_PER_MS}
"""Nothing is gained beyond four rows."""


def runs(actions: Sequence[Action]) -> list[Dispatch]:
    """Return the runs among the actions."""
    return [action for action in actions if isinstance(action, Dispatch)]


def shape(actions: Sequence[Action]) -> list[tuple[int, Reason]]:
    """Return each run's rows and reason."""
    return [(run.rows, run.reason) for run in runs(actions)]


def due_in(make_job: MakeJob, count: int, slo_ns: int, **fields: int) -> list[Job]:
    """Return so many jobs of one row that came at 0."""
    return [make_job(due_ns=slo_ns, **fields) for _ in range(count)]


@pytest.mark.parametrize(
    ("times_ns", "slo_ms", "rows"),
    [
        pytest.param(GATHERS, 100, 64, id="all-that-is-configured"),
        pytest.param(FLAT, 1000, 4, id="the-knee"),
        pytest.param(ALONE, 1000, 1, id="batching-does-not-pay"),
        pytest.param(GATHERS, 14, 23, id="what-the-target-allows"),
        pytest.param(GATHERS, 1, 1, id="a-target-out-of-reach"),
    ],
)
def test_full_batch_is_what_measurement_and_target_allow(
    make_scheduler: MakeScheduler, make_job: MakeJob, times_ns: Mapping[int, int], slo_ms: int, rows: int
) -> None:
    """A row that has just missed a run waits for it and then runs: two runs have to fit into nine tenths of the target."""
    scheduler = make_scheduler(LIMITS, times_ns=times_ns, slo_ns=slo_ms * NS_PER_MS)
    scheduler.kinds[0].latency.spread = 1.0
    scheduler.kinds[0].latency.edition += 1
    for job in due_in(make_job, 100, slo_ms * NS_PER_MS):
        scheduler._queues.push(job)

    (run,) = runs(scheduler.tick(0))

    assert run.reason is Reason.FULL
    assert run.rows == pytest.approx(rows, abs=1)


def test_fixed_batching_takes_all_whatever_was_measured(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Who asks for it gets it."""
    scheduler = make_scheduler(BatchLimits(max_rows=64, adaptive=False), times_ns=ALONE)
    for job in due_in(make_job, 100, NS_PER_S):
        scheduler._queues.push(job)

    assert shape(scheduler.tick(0)) == [(64, Reason.FULL)]


def test_lone_row_never_waits_for_company_on_an_idle_device(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """At low load the scheduler is as fast as none."""
    for independent in (True, False):
        scheduler = make_scheduler(LIMITS, lanes=2, times_ns=GATHERS, independent=independent)
        now_ns = 0
        for _ in range(20):
            now_ns += NS_PER_S // 5
            assert scheduler.arrive(due_in(make_job, 1, now_ns + 100 * NS_PER_MS), now_ns) is None
            (run,) = runs(scheduler.tick(now_ns))
            assert run.reason is Reason.IDLE
            now_ns += 4 * NS_PER_MS
            scheduler.done(run, now_ns)


def test_lanes_of_one_device_gather_before_the_second_starts(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """In a fast stream, two lanes do not split it into small runs; the wait ends by itself."""
    scheduler = make_scheduler(LIMITS, lanes=2, times_ns=GATHERS, independent=False)
    now_ns, waited = 0, False
    for _ in range(400):
        now_ns += NS_PER_MS // 2
        scheduler.arrive(due_in(make_job, 1, now_ns + 100 * NS_PER_MS), now_ns)
        for run in runs(scheduler.tick(now_ns)):
            assert run.waited_ns <= 5 * NS_PER_MS
        waited |= scheduler.backlog.rows > 0 and bool(scheduler.kinds[0].free)
        if waited:
            wakeup_ns = scheduler.next_wakeup_ns
            assert wakeup_ns is not None
            assert now_ns < wakeup_ns <= now_ns + 5 * NS_PER_MS
            assert runs(scheduler.tick(wakeup_ns))[0].reason is Reason.GATE
            return
        for lane, run in list(scheduler.kinds[0].running.items()):
            if run.started_ns + 4 * NS_PER_MS <= now_ns:
                scheduler.done(run, now_ns)
                assert lane in scheduler.kinds[0].free
    pytest.fail("the second lane never waited")


def test_closing_version_waits_for_nobody(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A drain has no time to gather."""
    scheduler = make_scheduler(LIMITS, lanes=2, times_ns=GATHERS, independent=False)
    scheduler.close()
    for job in due_in(make_job, 3, NS_PER_S):
        scheduler._queues.push(job)

    assert shape(scheduler.tick(0)) == [(3, Reason.DRAIN)]


def test_idle_lanes_with_cores_of_their_own_divide_a_short_queue(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Four rows end sooner as two and two, if batching pays little."""
    costly = {rows: NS_PER_MS + rows * 2 * NS_PER_MS for rows in (1, 2, 4, 8)}
    scheduler = make_scheduler(LIMITS, lanes=2, times_ns=costly, slo_ns=NS_PER_S)
    scheduler.arrive(due_in(make_job, 4, NS_PER_S), NS_PER_S)

    assert [run.rows for run in runs(scheduler.tick(NS_PER_S))] == [2, 2]


def test_request_that_would_end_after_the_target_is_refused_with_the_time_to_come_back(
    make_scheduler: MakeScheduler, make_job: MakeJob
) -> None:
    """What is taken in ends within the target; the wait is what it would have been late by."""
    slo_ns = 40 * NS_PER_MS
    scheduler = make_scheduler(LIMITS, times_ns=GATHERS, slo_ns=slo_ns)
    scheduler.kinds[0].latency.spread = 1.0
    taken = 0
    while (refusal := scheduler.arrive(due_in(make_job, 1, slo_ns), 0)) is None:
        taken += 1

    assert refusal.shortage is Shortage.TIME
    assert 0 < refusal.wait_ns < slo_ns
    assert 64 <= taken <= 64 * slo_ns / GATHERS[64]
    now_ns = 0
    while run := runs(scheduler.tick(now_ns)):
        now_ns += run[0].expected_ns
        scheduler.done(run[0], now_ns)
    assert now_ns <= slo_ns


def test_less_important_requests_are_refused_first(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Sheddable ones may use half of the target, normal ones nine tenths, critical ones all of it and their own queue."""
    scheduler = make_scheduler(LIMITS, times_ns=GATHERS, slo_ns=60 * NS_PER_MS)
    refused = []
    for priority in (2, 1, 0):
        while scheduler.arrive(due_in(make_job, 1, NS_PER_S, priority=priority), 0) is None:
            pass
        refused.append(scheduler.backlog.rows)

    assert refused == sorted(set(refused)), "each more important class still found room"


def test_deadline_that_cannot_be_met_is_refused_on_arrival(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Behind a full queue, 6 ms are not enough; alone they are."""
    scheduler = make_scheduler(LIMITS, times_ns=GATHERS)
    scheduler.kinds[0].latency.spread = 1.0

    alone = scheduler.arrive([make_job(deadline_ns=6 * NS_PER_MS, due_ns=6 * NS_PER_MS)], 0)
    hopeless = scheduler.arrive([make_job(deadline_ns=3 * NS_PER_MS, due_ns=3 * NS_PER_MS)], 0)

    assert alone is None
    assert hopeless is not None
    assert hopeless.shortage is Shortage.TIME


def test_nobody_is_refused_or_dropped_by_a_speed_that_was_only_guessed(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Until four runs under load, only deadlines that have passed count."""
    scheduler = make_scheduler(LIMITS, times_ns=GATHERS, warm=False)

    assert scheduler.arrive([make_job(deadline_ns=NS_PER_MS, due_ns=NS_PER_MS)], 0) is None
    assert shape(scheduler.tick(0)) == [(1, Reason.IDLE)]


def test_speed_by_which_everybody_is_late_is_measured_again(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A machine was slow for a while, two seconds a run, and callers wait one: without a try nobody would ever be served again."""
    scheduler = make_scheduler(LIMITS, times_ns={1: 2 * NS_PER_S})
    now_ns, served = 0, []
    for _ in range(600):
        now_ns += NS_PER_S // 10
        scheduler.arrive(due_in(make_job, 1, now_ns + NS_PER_S, deadline_ns=now_ns + NS_PER_S), now_ns)
        ran = runs(scheduler.tick(now_ns))
        served.append(bool(ran))
        for run in ran:
            scheduler.done(run, now_ns + 5 * NS_PER_MS)

    assert sum(served[:100]) <= 10, "one a second"
    assert all(served[-100:])


def test_burst_after_a_quiet_time_is_divided_by_deadlines(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """What could be in time is served as ever: only where nobody could is anybody tried."""
    scheduler = make_scheduler(BatchLimits(max_rows=4), times_ns={1: 5 * NS_PER_MS, 4: 8 * NS_PER_MS})
    now_ns = 10 * NS_PER_S
    hurried = make_job(deadline_ns=now_ns + 11 * NS_PER_MS // 2, due_ns=now_ns + 11 * NS_PER_MS // 2)
    others = due_in(make_job, 3, now_ns + NS_PER_S)
    scheduler.arrive([hurried], now_ns)
    scheduler.arrive(others, now_ns)

    (run,) = runs(scheduler.tick(now_ns))

    assert list(run.jobs) == [hurried]


def test_model_that_is_too_slow_is_tried_a_tenth_of_the_time(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Whoever comes in between hears at once that the answer would be late."""
    scheduler = make_scheduler(LIMITS, times_ns={1: 2 * NS_PER_S})
    now_ns, tried = NS_PER_S, 0
    while now_ns < 220 * NS_PER_S:
        now_ns += NS_PER_S // 10
        refused = scheduler.arrive(due_in(make_job, 1, now_ns + NS_PER_S, deadline_ns=now_ns + NS_PER_S), now_ns)
        for run in runs(scheduler.tick(now_ns)):
            now_ns, tried = now_ns + 2 * NS_PER_S, tried + 1
            scheduler.done(run, now_ns)
        assert refused is None or refused.shortage is Shortage.TIME

    assert tried == 10


def test_job_that_cannot_end_in_time_any_more_is_dropped_before_it_runs(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """It would cost device time and help nobody; its mates run."""
    scheduler = make_scheduler(LIMITS, times_ns=GATHERS)
    scheduler.kinds[0].latency.spread = 1.0
    scheduler.arrive([make_job(deadline_ns=100 * NS_PER_MS, due_ns=50)], 0)
    (running,) = runs(scheduler.tick(0))
    late = make_job(deadline_ns=10 * NS_PER_MS, due_ns=10 * NS_PER_MS)
    mates = due_in(make_job, 2, 100 * NS_PER_MS)
    assert scheduler.arrive([late], 0) is None
    assert scheduler.arrive(mates, 0) is None

    scheduler.done(running, 8 * NS_PER_MS)
    actions = scheduler.tick(8 * NS_PER_MS)

    assert [action.job for action in actions if isinstance(action, Expire)] == [late]
    assert [list(run.jobs) for run in runs(actions)] == [mates]


def test_standing_queue_shrinks_to_a_batch_for_each_lane(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """When nobody has got away soon for 100 ms, whatever the model says, only what the next runs take may wait."""
    scheduler = make_scheduler(BatchLimits(max_rows=4), times_ns={1: NS_PER_MS, 4: NS_PER_MS}, slo_ns=100 * NS_PER_MS)
    now_ns, refused = 0, set()
    for _ in range(60):
        refusal = None
        while scheduler.backlog.rows < 20 and refusal is None:
            refusal = scheduler.arrive(due_in(make_job, 1, now_ns + 100 * NS_PER_MS), now_ns)
            refused |= {refusal and refusal.shortage}
        (run,) = runs(scheduler.tick(now_ns))
        now_ns += 25 * NS_PER_MS  # the model still says 1 ms
        scheduler._ended(run, now_ns)

    assert refused == {None, Shortage.ROWS}


def kinds_of(preferred: Mapping[int, int], other: Mapping[int, int]) -> list[LaneKind]:
    """Return a lane of each of two devices, both well known."""
    kinds = [LaneKind(1, LatencyModel(preferred), independent=False), LaneKind(1, LatencyModel(other))]
    for kind, times_ns in zip(kinds, (preferred, other), strict=True):
        for _ in range(40):
            for rows, ns in times_ns.items():
                kind.latency.observe(rows, ns, 0)
    return kinds


@pytest.mark.parametrize("spill", [True, False])
def test_other_device_takes_what_the_preferred_one_cannot_end_in_time(make_job: MakeJob, spill: bool) -> None:
    """And only that; where answers have to be equal bit by bit, it can be forbidden."""
    scheduler = Scheduler(BatchLimits(max_rows=64, spill=spill), kinds_of(GATHERS, ALONE), slo_ns=100 * NS_PER_MS)
    scheduler._queues.push(make_job(due_ns=100 * NS_PER_MS))
    (first,) = runs(scheduler.tick(0))
    scheduler._queues.push(make_job(due_ns=100 * NS_PER_MS))
    assert runs(scheduler.tick(0)) == [], "the preferred device will be in time"
    scheduler._queues.push(make_job(due_ns=5 * NS_PER_MS))

    spilled = runs(scheduler.tick(0))

    assert first.lane == 0
    assert [(run.lane, run.rows, run.reason) for run in spilled] == ([(1, 1, Reason.SPILL)] if spill else [])


def test_device_with_few_sizes_pads_or_takes_fewer_whichever_is_cheaper_for_a_row(make_job: MakeJob) -> None:
    """Seven rows run as eight; nine rows run as eight, and one is left."""
    times_ns = {1: 10 * NS_PER_MS, 8: 10 * NS_PER_MS, 16: 40 * NS_PER_MS}
    for rows, expected in ((7, (7, 8)), (9, (8, 8))):
        kind = LaneKind(1, LatencyModel(times_ns), independent=False, sizes=(1, 8, 16))
        scheduler = Scheduler(BatchLimits(max_rows=16), [kind], slo_ns=NS_PER_S)
        for _ in range(rows):
            scheduler._queues.push(make_job(due_ns=NS_PER_S))

        (run,) = runs(scheduler.tick(0))

        assert (run.rows, run.run_rows) == expected


def test_second_lane_of_a_staged_device_is_filled_just_in_time(make_job: MakeJob) -> None:
    """A batch that is sealed early keeps later rows out of it."""
    kind = LaneKind(2, LatencyModel(GATHERS), independent=False, staged=True)
    kind.prepare_ns = NS_PER_MS
    scheduler = Scheduler(LIMITS, [kind], slo_ns=NS_PER_S)
    scheduler._queues.push(make_job(due_ns=NS_PER_S))
    (first,) = runs(scheduler.tick(0))
    scheduler._queues.push(make_job(due_ns=NS_PER_S))

    early, wakeup_ns = scheduler.tick(0), scheduler.next_wakeup_ns
    assert wakeup_ns is not None
    later = scheduler.tick(wakeup_ns)

    assert runs(early) == []
    assert wakeup_ns == first.expected_ns - NS_PER_MS
    assert len(runs(later)) == 1


def test_version_without_a_turn_waits_and_says_so(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """The device's other version is in a run; when it ends, this one is woken and starts."""
    share, woken = DeviceShare(1), []
    other = share.join(lambda: None)
    scheduler = make_scheduler(LIMITS, times_ns=GATHERS)
    scheduler.kinds[0].tenant = share.join(lambda: woken.append(True))
    other.started(NS_PER_MS)
    scheduler.arrive([make_job(due_ns=NS_PER_S)], 0)

    assert runs(scheduler.tick(0)) == []
    other.ended(NS_PER_MS, NS_PER_MS)

    assert woken == [True]
    assert len(runs(scheduler.tick(1))) == 1


def test_run_without_memory_makes_batches_smaller(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Half of what failed is the new limit; nobody is blamed for it."""
    scheduler = make_scheduler(LIMITS, times_ns=GATHERS)
    jobs = due_in(make_job, 64, NS_PER_S)
    for job in jobs:
        scheduler._queues.push(job)
    (run,) = runs(scheduler.tick(0))

    scheduler.failed(run, 1, out_of_memory=True)
    ran = []
    while actions := scheduler.tick(2):
        assert all(isinstance(action, Dispatch) for action in actions)
        for again in runs(actions):
            ran.append(again.rows)
            scheduler.done(again, 2 + again.expected_ns)
    for job in due_in(make_job, 64, NS_PER_S):
        scheduler._queues.push(job)

    assert sum(ran) == 64
    assert runs(scheduler.tick(3))[0].rows == 32


def lone_failure(scheduler: Scheduler, job: Job, now_ns: int = 0) -> list[Action]:
    """Let a job fail alone, and return what follows."""
    scheduler._queues.push(job)
    (run,) = runs(scheduler.tick(now_ns))
    scheduler.failed(run, now_ns)
    return [*scheduler.verdicts(now_ns), *scheduler.tick(now_ns)]


def test_lone_failure_is_blamed_on_the_job_once_its_lane_has_run_the_stored_input(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """The lane is sound, so the data is not."""
    scheduler, job = make_scheduler(can_check=True), make_job()

    (check,) = lone_failure(scheduler, job)
    assert isinstance(check, Check)
    scheduler.checked(check.lane, 1, sound=True)
    (verdict,) = scheduler.tick(1)

    assert isinstance(verdict, Blame)
    assert verdict.job is job
    assert scheduler.running == 0


def test_broken_lane_loses_its_job_refuses_and_comes_back(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Nobody is blamed; with no lane left requests are refused at once, until the stored input runs again."""
    scheduler, job = make_scheduler(can_check=True), make_job()
    (check,) = lone_failure(scheduler, job)
    assert isinstance(check, Check)

    scheduler.checked(check.lane, 0, sound=False)
    (verdict,) = scheduler.tick(0)
    refusal = scheduler.arrive([make_job()], 0)
    wakeup_ns = scheduler.next_wakeup_ns
    assert wakeup_ns is not None
    (again,) = scheduler.tick(wakeup_ns)
    scheduler.checked(check.lane, wakeup_ns, sound=True)

    assert isinstance(verdict, Lost)
    assert verdict.job is job
    assert refusal is not None
    assert refusal.shortage is Shortage.LANES
    assert wakeup_ns == NS_PER_S
    assert isinstance(again, Check)
    assert scheduler.arrive([make_job()], wakeup_ns) is None
    assert len(runs(scheduler.tick(wakeup_ns))) == 1


def test_poison_among_good_jobs_needs_no_check(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """A half that passes has shown that the lane is sound."""
    scheduler = make_scheduler(BatchLimits(max_rows=8), can_check=True)
    jobs = [make_job() for _ in range(8)]
    scheduler.arrive(jobs, 0)
    seen: list[Action] = []

    while actions := scheduler.tick(0):
        seen += actions
        for run in runs(actions):
            if jobs[5] in run.jobs:
                scheduler.failed(run, 0)
            else:
                scheduler.done(run, 0)

    assert [action.job for action in seen if isinstance(action, Blame)] == [jobs[5]]
    assert not any(isinstance(action, Check) for action in seen)
    assert len(runs(seen)) <= 1 + 2 * 3


def test_lanes_that_keep_each_other_waiting_let_fewer_in(make_scheduler: MakeScheduler, make_job: MakeJob) -> None:
    """Runs take what was predicted, but requests stay three times as long as was predicted for them."""
    scheduler = make_scheduler(BatchLimits(4, None, 10**6), times_ns={1: 5 * NS_PER_MS, 4: 8 * NS_PER_MS}, slo_ns=100 * NS_PER_MS)

    def crowd(now_ns: int) -> int:
        while scheduler.arrive([make_job(due_ns=now_ns)], now_ns) is None:
            pass
        return scheduler.backlog.rows

    before, now_ns = crowd(0), 0
    for _ in range(100):
        (run,) = scheduler.tick(now_ns)
        assert isinstance(run, Dispatch)
        now_ns += 24 * NS_PER_MS
        run.begins_ns = now_ns - 8 * NS_PER_MS
        scheduler.done(run, now_ns)
        after = crowd(now_ns)

    assert after < before / 2


def test_any_number_of_the_hopeless_is_dropped_at_once(make_scheduler: MakeScheduler) -> None:
    """Rows of lengths of their own are looked at one after the other, and each of their callers is told."""
    scheduler = make_scheduler(BatchLimits(1, 10_000, 1 << 30), times_ns={8: 10 * NS_PER_MS})
    for _ in range(3_000):
        scheduler._queues.push(Job({}, 1, Key(("Y",), (), 8), length=5, due_ns=30 * NS_PER_MS, deadline_ns=30 * NS_PER_MS))

    actions = scheduler.tick(25 * NS_PER_MS)

    assert [type(action) for action in actions] == [Expire] * 3_000
    assert not scheduler.backlog.jobs
