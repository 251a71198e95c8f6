"""Random lives of a scheduler: whatever happens, in whatever order, these things hold."""

from typing import Final

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.batching.actions import Blame, Check, Dispatch, Expire, Lost, Reason
from penstock.batching.job import GONE, RUNNING, WAITING, Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler
from penstock.batching.share import DeviceShare

KEYS: Final = (Key(("Y",)), Key(("Y",), (("X", (2,)),)), Key(("Z",)))
SLO_NS: Final = 400
MOST_BYTES: Final = 50


class SchedulerLife(RuleBasedStateMachine):
    """A scheduler, and a model of it that is too simple to be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.waiting: dict[Job, int] = {}
        """Jobs that wait, with the number of their arrival."""
        self.suspects: set[Job] = set()
        """Jobs that ran in a batch that failed, until they end."""
        self.running: dict[int, Dispatch] = {}
        self.checking: set[int] = set()
        self.broken: set[int] = set()
        self.alone: set[Job] = set()
        """Jobs that failed alone and have not been told yet."""
        self.ends: dict[Job, str] = {}
        self.arrivals = 0
        self.runs: dict[Job, int] = {}

    @initialize(
        lanes=st.integers(1, 3),
        max_rows=st.integers(1, 6),
        queue_rows=st.sampled_from([None, 4, 12]),
        together=st.booleans(),
        independent=st.booleans(),
        can_check=st.booleans(),
        alpha=st.integers(1, 30),
        beta=st.integers(1, 10),
        known=st.booleans(),
        shared=st.booleans(),
    )
    def begin(  # noqa: PLR0917
        self,
        lanes: int,
        max_rows: int,
        queue_rows: int | None,
        together: bool,
        independent: bool,
        can_check: bool,
        alpha: int,
        beta: int,
        known: bool,
        shared: bool,
    ) -> None:
        """Draw the limits, and how fast the model is."""
        self.limits = BatchLimits(max_rows, queue_rows, MOST_BYTES, together)
        self.can_check = can_check
        self.latency = LatencyModel({rows: alpha + beta * rows for rows in (1, 2, 4, 6)} if known else None)
        kind = LaneKind(lanes, self.latency, independent=independent)
        if shared:
            kind.tenant = DeviceShare(lanes).join(lambda: None)
        self.scheduler = Scheduler(self.limits, [kind], slo_ns=SLO_NS, can_check=can_check)

    @rule(data=st.data(), count=st.integers(1, 3), key=st.sampled_from(KEYS))
    def arrive(self, data: st.DataObject, count: int, key: Key) -> None:
        """A request of one or more jobs comes; it is queued whole or refused whole, and bounds hold."""
        deadline_ns = data.draw(st.sampled_from([1 << 62, self.now + data.draw(st.integers(1, 600))]))
        due_ns = min(self.now + SLO_NS, deadline_ns)
        jobs = [
            Job(
                {},
                data.draw(st.integers(0, self.limits.max_rows)),
                key,
                size_bytes=data.draw(st.integers(0, 20)),
                due_ns=due_ns,
                deadline_ns=deadline_ns,
                priority=data.draw(st.integers(0, 2)),
            )
            for _ in range(count)
        ]
        nobody = not self.waiting
        refusal = self.scheduler.arrive(jobs, self.now)
        if refusal is not None:
            assert not nobody or deadline_ns < 1 << 62 or self.broken, "an empty queue takes anything that can be in time"
            assert refusal.wait_ns >= 0
            return
        for job in jobs:
            self.arrivals += 1
            self.waiting[job] = self.arrivals
        size = sum(job.size_bytes for job in self.waiting)
        assert nobody or size <= MOST_BYTES

    @precondition(lambda self: self.waiting or self.running)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A caller leaves; a running job stays."""
        running = [job for run in self.running.values() for job in run.jobs]
        job = data.draw(st.sampled_from([*self.waiting, *running]))
        self.scheduler.cancel(job)
        if job in self.waiting:
            self._end(job, "cancelled")

    @rule(passed=st.integers(0, 60))
    def tick(self, passed: int) -> None:
        """Time passes and the scheduler decides."""
        self.now += passed
        for action in self.scheduler.tick(self.now):
            match action:
                case Dispatch():
                    self._dispatched(action)
                case Expire(job=job):
                    assert job.deadline_ns <= self.now + (0 if self.latency.cold else self.latency.bound(self.limits.max_rows))
                    self._end(job, "expired")
                case Blame(job=job) | Lost(job=job):
                    self.alone.remove(job)
                    self._ended(job, "failed")
                case Check(lane=lane):
                    assert self.can_check
                    assert lane not in self.running
                    self.checking.add(lane)
        assert all(job.deadline_ns > self.now for job in self.waiting)
        self._check_wakeup()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), took=st.integers(0, 40))
    def succeed(self, data: st.DataObject, took: int) -> None:
        """A run ends well."""
        self.now += took
        run = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        self.scheduler.done(run, self.now)
        for job in run.jobs:
            self._ended(job, "done")

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """A run fails: several jobs wait again, a single one waits for its verdict."""
        run = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        self.scheduler.failed(run, self.now)
        if len(run.jobs) == 1:
            self.alone.add(run.jobs[0])
            return
        for job in run.jobs:
            self.suspects.add(job)
            self.waiting[job] = 0

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """A run ends early because all its callers have left."""
        run = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        self.scheduler.dropped(run, self.now)
        for job in run.jobs:
            self._ended(job, "cancelled")

    @precondition(lambda self: self.checking)
    @rule(data=st.data(), sound=st.booleans())
    def check(self, data: st.DataObject, sound: bool) -> None:
        """The stored input has run in a lane."""
        lane = data.draw(st.sampled_from(sorted(self.checking)))
        self._checked(lane, sound)

    @rule()
    def close(self) -> None:
        """The version drains."""
        self.scheduler.close()

    @invariant()
    def counters_are_true(self) -> None:
        """Counters are the sums over what waits; zero when nothing does."""
        if not hasattr(self, "scheduler"):
            return
        backlog = self.scheduler.backlog
        assert backlog.jobs == len(self.waiting)
        assert backlog.rows == sum(job.rows for job in self.waiting)
        assert backlog.size_bytes == sum(job.size_bytes for job in self.waiting)
        assert backlog.cost_of == [sum(job.cost for job in self.waiting if job.priority == priority) for priority in range(3)]
        assert self.scheduler.running == len(self.running)

    @invariant()
    def states_are_true(self) -> None:
        """Each job is in one place."""
        assert all(job.state == WAITING for job in self.waiting)
        assert all(job.state == RUNNING for run in self.running.values() for job in run.jobs)
        assert all(job.state == GONE for job, end in self.ends.items() if end != "failed")

    def teardown(self) -> None:
        """Let everything finish: each job that was queued has exactly one end, and nothing is left."""
        if not hasattr(self, "scheduler"):
            return
        for _ in range(10_000):
            if not (self.running or self.waiting or self.checking or self.alone):
                break
            for lane in list(self.running):
                run = self.running.pop(lane)
                self.scheduler.done(run, self.now)
                for job in run.jobs:
                    self._ended(job, "done")
            for lane in list(self.checking):
                self._checked(lane, sound=True)
            wakeup = self.scheduler.next_wakeup_ns
            self.tick(0 if wakeup is None or self.running else max(0, wakeup - self.now))
        assert len(self.ends) == self.arrivals
        self.counters_are_true()

    def _checked(self, lane: int, sound: bool) -> None:
        self.checking.remove(lane)
        self.scheduler.checked(lane, self.now, sound=sound)
        (self.broken.discard if sound else self.broken.add)(lane)

    def _dispatched(self, run: Dispatch) -> None:
        jobs = run.jobs
        assert jobs, "an empty batch"
        assert run.lane not in self.running, "a busy lane"
        assert run.lane not in self.checking | self.broken, "a lane under suspicion"
        assert len(set(jobs)) == len(jobs)
        assert len({job.key for job in jobs}) == 1
        assert run.rows == sum(job.rows for job in jobs) <= self.limits.max_rows
        assert len(jobs) == 1 or (self.limits.together and all(job.rows for job in jobs))
        assert all(job in self.waiting for job in jobs), "a job that does not wait"
        again = self.suspects.intersection(jobs)
        assert again == (set(jobs) if run.reason is Reason.RERUN else set()), "a rerun beside new jobs"
        if not again:
            self._check_order(jobs)
        for job in jobs:
            del self.waiting[job]
            self.runs[job] = self.runs.get(job, 0) + 1
            assert self.runs[job] <= 5, "a job runs at most once for each halving of six"
        self.running[run.lane] = run

    def _check_order(self, jobs: list[Job]) -> None:
        """The batch is the head of its line."""
        new = [job for job in self.waiting if job not in self.suspects]
        line = sorted((job for job in new if job.key == jobs[0].key), key=lambda job: (job.due_ns, self.waiting[job]))
        assert list(jobs) == line[: len(jobs)]

    def _check_wakeup(self) -> None:
        wakeup = self.scheduler.next_wakeup_ns
        first = min((job.deadline_ns for job in self.waiting), default=1 << 62)
        assert wakeup is None or wakeup > self.now
        assert first == 1 << 62 or (wakeup is not None and wakeup <= first), "a deadline would pass unseen"
        idle = not self.running and not self.checking and len(self.broken) < self.scheduler.lanes
        assert not (self.waiting and idle) or wakeup is not None, "rows wait before idle lanes and nobody is woken"
        queues = self.scheduler._queues
        entries = len(queues._deadlines) + sum(map(len, queues._lines.values()))
        assert entries <= 4 * (2 * len(self.waiting) + 64)

    def _end(self, job: Job, end: str) -> None:
        del self.waiting[job]
        self._ended(job, end)

    def _ended(self, job: Job, end: str) -> None:
        assert job not in self.ends, f"a second end: {self.ends.get(job)} and {end}"
        self.suspects.discard(job)
        self.ends[job] = end


TestSchedulerLife = SchedulerLife.TestCase
TestSchedulerLife.settings = settings(max_examples=75, stateful_step_count=40, deadline=None)


@pytest.mark.slow
class TestSchedulerLifeForLong(SchedulerLife.TestCase):
    """The same, for long."""

    settings = settings(max_examples=1500, stateful_step_count=40, deadline=None)
