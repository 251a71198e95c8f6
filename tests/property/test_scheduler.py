"""Random lives of a scheduler: whatever happens, in whatever order, these things hold."""

from collections.abc import Callable
from typing import Final

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.batching.job import Job, JobState, Key
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Dispatch, Scheduler

KEYS: Final = (Key(("Y",)), Key(("Y",), (("X", (2,)),)), Key(("Z",)))


class SchedulerLife(RuleBasedStateMachine):
    """A scheduler, and a model of it that is too simple to be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.waiting: dict[Job, int] = {}
        """Jobs that wait, with the number of their arrival."""
        self.rerun: set[Job] = set()
        """Those among them that ran before, in a batch that failed."""
        self.running: dict[int, tuple[Job, ...]] = {}
        self.ends: dict[Job, str] = {}
        self.arrivals = 0
        self.forbidden_mates: dict[Job, set[Job]] = {}

    @initialize(lanes=st.integers(1, 3), max_rows=st.integers(1, 6), queue_rows=st.integers(1, 12), together=st.booleans())
    def begin(self, lanes: int, max_rows: int, queue_rows: int, together: bool) -> None:
        """Draw the limits."""
        self.limits = BatchLimits(max_rows, queue_rows, 50, together)
        self.scheduler = Scheduler(self.limits, lanes)

    @rule(data=st.data(), count=st.integers(1, 3), key=st.sampled_from(KEYS))
    def arrive(self, data: st.DataObject, count: int, key: Key) -> None:
        """A request of one or more jobs comes; it is queued if there is room, as the limits say."""
        jobs = [
            Job(
                {},
                data.draw(st.integers(0, self.limits.max_rows)),
                key,
                size_bytes=data.draw(st.integers(0, 20)),
                due_ns=self.now + data.draw(st.integers(0, 5)),
                deadline_ns=data.draw(st.sampled_from([1 << 62, self.now + data.draw(st.integers(1, 9))])),
                priority=data.draw(st.integers(0, 2)),
            )
            for _ in range(count)
        ]
        free = self.scheduler.lanes - len(self.running)
        rows = sum(job.rows for job in [*self.waiting, *jobs])
        size = sum(job.size_bytes for job in [*self.waiting, *jobs])
        expected = not self.waiting or (rows <= self.limits.queue_rows + free * self.limits.max_rows and size <= self.limits.queue_bytes)
        assert self.scheduler.has_room(jobs) == expected
        if expected:
            self.scheduler.arrive(jobs)
            for job in jobs:
                self.arrivals += 1
                self.waiting[job] = self.arrivals

    @precondition(lambda self: self.waiting or self.running)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A caller leaves; a running job stays."""
        running = [job for jobs in self.running.values() for job in jobs]
        job = data.draw(st.sampled_from([*self.waiting, *running]))
        self.scheduler.cancel(job)
        if job in self.waiting:
            self._end(job, "cancelled")

    @rule(passed=st.integers(0, 6))
    def tick(self, passed: int) -> None:
        """Time passes and the scheduler decides."""
        self.now += passed
        for action in self.scheduler.tick(self.now):
            if isinstance(action, Dispatch):
                self._dispatched(action)
            else:
                assert action.job.deadline_ns <= self.now
                self._end(action.job, "expired")
        assert all(job.deadline_ns > self.now for job in self.waiting)
        assert not self.waiting or len(self.running) == self.scheduler.lanes, "a lane is free and a job waits"
        self._check_wakeup()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def batch_done(self, data: st.DataObject) -> None:
        """A run ends well, or the run of a single job fails for good."""
        lane = data.draw(st.sampled_from(sorted(self.running)))
        jobs = self.running.pop(lane)
        self.scheduler.batch_done(lane, jobs)
        for job in jobs:
            self._ended(job, "done")

    @precondition(lambda self: any(len(jobs) > 1 for jobs in self.running.values()))
    @rule(data=st.data())
    def batch_failed(self, data: st.DataObject) -> None:
        """A run of several jobs fails: they wait again, in two halves that never meet again."""
        lane = data.draw(st.sampled_from(sorted(lane for lane, jobs in self.running.items() if len(jobs) > 1)))
        jobs = self.running.pop(lane)
        self.scheduler.batch_failed(lane, jobs)
        middle = len(jobs) // 2
        for half, other in ((jobs[:middle], jobs[middle:]), (jobs[middle:], jobs[:middle])):
            for job in half:
                self.rerun.add(job)
                self.forbidden_mates.setdefault(job, set()).update(other)
                self.waiting[job] = 0

    @invariant()
    def counters_are_true(self) -> None:
        """Counters are the sums over what waits; zero when nothing does."""
        if not hasattr(self, "scheduler"):
            return
        scheduler = self.scheduler
        assert scheduler.waiting_jobs == len(self.waiting)
        assert scheduler.waiting_rows == sum(job.rows for job in self.waiting)
        assert scheduler.waiting_bytes == sum(job.size_bytes for job in self.waiting)
        assert scheduler.running == len(self.running)

    @invariant()
    def states_are_true(self) -> None:
        """Each job is in one place."""
        assert all(job.state is JobState.WAITING for job in self.waiting)
        assert all(job.state is JobState.RUNNING for jobs in self.running.values() for job in jobs)
        assert all(job.state is JobState.GONE for job in self.ends)

    def teardown(self) -> None:
        """Let everything finish: each job that was queued has exactly one end, and nothing is left."""
        if not hasattr(self, "scheduler"):
            return
        while self.running or self.waiting:
            for lane in list(self.running):
                jobs = self.running.pop(lane)
                self.scheduler.batch_done(lane, jobs)
                for job in jobs:
                    self._ended(job, "done")
            self.tick(0)
        assert len(self.ends) == self.arrivals
        assert self.scheduler.next_wakeup_ns is None
        self.counters_are_true()

    def _dispatched(self, action: Dispatch) -> None:
        jobs = action.jobs
        assert jobs, "an empty batch"
        assert 0 <= action.lane < self.scheduler.lanes
        assert action.lane not in self.running, "a busy lane"
        assert len(set(jobs)) == len(jobs)
        assert len({job.key for job in jobs}) == 1
        assert sum(job.rows for job in jobs) <= self.limits.max_rows
        assert len(jobs) == 1 or (self.limits.together and all(job.rows for job in jobs))
        assert all(job in self.waiting for job in jobs), "a job that does not wait"
        again = self.rerun.intersection(jobs)
        assert not again or again == set(jobs), "a rerun beside new jobs"
        assert not any(self.forbidden_mates.get(job, set()).intersection(jobs) for job in jobs)
        if not again:
            self._check_order(jobs)
        for job in jobs:
            del self.waiting[job]
            self.rerun.discard(job)
        self.running[action.lane] = jobs

    def _check_order(self, jobs: tuple[Job, ...]) -> None:
        """The batch is the head of its queue, and no other queue's head was more urgent."""
        urgency: Callable[[Job], tuple[int, int, int]] = lambda job: (job.priority, job.due_ns, self.waiting[job])  # noqa: E731
        new = [job for job in self.waiting if job not in self.rerun]
        assert jobs[0] is min(new, key=urgency)
        queue = sorted((job for job in new if job.key == jobs[0].key), key=urgency)
        assert list(jobs) == queue[: len(jobs)]
        if self.limits.together and jobs[0].rows and (left := queue[len(jobs) :]) and left[0].rows:
            assert sum(job.rows for job in jobs) + left[0].rows > self.limits.max_rows, "room for one more was left"

    def _check_wakeup(self) -> None:
        wakeup = self.scheduler.next_wakeup_ns
        assert wakeup == min((job.deadline_ns for job in self.waiting), default=None)
        assert wakeup is None or wakeup > self.now
        heaps = len(self.scheduler._deadlines) + sum(map(len, self.scheduler._queues.values()))
        assert heaps <= 4 * (2 * len(self.waiting) + 64)

    def _end(self, job: Job, end: str) -> None:
        del self.waiting[job]
        self.rerun.discard(job)
        self._ended(job, end)

    def _ended(self, job: Job, end: str) -> None:
        assert job not in self.ends, f"a second end: {self.ends.get(job)} and {end}"
        self.ends[job] = end


TestSchedulerLife = SchedulerLife.TestCase
TestSchedulerLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
