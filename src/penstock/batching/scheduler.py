"""A pure state machine that decides which jobs run next, in which lane.

No clock, no I/O, no threads: time comes in as integer nanoseconds, decisions go out as actions. A free lane takes what waits, earliest
due first, up to the batch that measurement and target allow; batches grow by themselves while lanes are busy (mean batch
`lambda alpha / (1 - lambda beta)` for a run of `alpha + beta b`; Inoue, "Queueing analysis of GPU-based inference servers with dynamic
batching", 2019). It waits for company only where that pays, and drops what could not end in time.
"""

from collections.abc import Sequence
from typing import Final

from penstock.batching.actions import Action, Blame, Check, Dispatch, Expire, Lost, Reason, Verdict
from penstock.batching.backlog import Backlog
from penstock.batching.courtesy import Courtesy
from penstock.batching.incidents import Incidents
from penstock.batching.job import GONE, NEVER_NS, Job
from penstock.batching.lane_kind import LaneKind
from penstock.batching.limits import BatchLimits
from penstock.batching.line import Line
from penstock.batching.overload import Overload
from penstock.batching.queues import Queues
from penstock.batching.room import Refusal, Room, Shortage
from penstock.batching.selection import Selection
from penstock.batching.sizing import Sizing


class Scheduler:
    """The queues of one model version and the lanes that serve them."""

    def __init__(self, limits: BatchLimits, kinds: Sequence[LaneKind], *, slo_ns: int, can_check: bool = False) -> None:
        """`kinds` come in order of preference. With `can_check`, no job is blamed for failing alone before its lane was checked."""
        self.limits: Final = limits
        self.kinds: Final = tuple(kinds)
        self.slo_ns: Final = slo_ns
        self.lanes: Final = sum(kind.count for kind in kinds)
        self._queues = Queues()
        self._room = Room(limits, self.kinds, self._queues.backlog, slo_ns)
        self._overload = Overload(slo_ns * 3 // 4)
        self._incidents = Incidents(can_check=can_check)
        self._courtesy = Courtesy(self._queues, slo_ns)
        self._sizing = Sizing(limits, slo_ns, self._courtesy)
        self._selection = Selection(limits, slo_ns, self._queues)
        self._arrived_rows = 0
        self._wake_ns = NEVER_NS
        self._kind_of = [kind for kind in kinds for _ in range(kind.count)]
        for lane in reversed(range(self.lanes)):
            self._kind_of[lane].free.append(lane)
        self._room.refresh()

    def __repr__(self) -> str:
        return f"<Scheduler {self.backlog.rows} rows waiting, {self.running} of {self.lanes} lanes running>"

    @property
    def backlog(self) -> Backlog:
        """What waits, in numbers."""
        return self._queues.backlog

    @property
    def running(self) -> int:
        """Lanes that run a batch."""
        return sum([len(kind.running) for kind in self.kinds])

    @property
    def overloaded(self) -> bool:
        """Whether the queue does not empty, whatever the latency model says."""
        return self._overload.active

    @property
    def broken_lanes(self) -> int:
        """Lanes that could not even run the stored input, and were not sound since."""
        return self._incidents.broken

    @property
    def busy(self) -> bool:
        """Whether there is anything to decide about."""
        return bool(self.backlog.jobs) or not self._incidents.quiet

    @property
    def full(self) -> bool:
        """Whether a lane is free, and as much waits as all lanes take at once."""
        return self.backlog.cost >= self._room.sure and bool(self.kinds[0].free)

    def close(self) -> None:
        """Let nothing wait for company any more: the version drains."""
        self._sizing.closing = True

    @property
    def next_wakeup_ns(self) -> int | None:
        """When `tick` must be called although nothing happens: a deadline, the end of a wait, or a broken lane to be tried again."""
        wake_ns = min(self._wake_ns, self._sizing.wake_ns, self._incidents.wake_ns)
        if self.backlog.jobs and (deadline_ns := self._queues.first_deadline_ns()) is not None:
            wake_ns = min(wake_ns, deadline_ns)
        return None if wake_ns >= NEVER_NS else wake_ns

    @property
    def room_rows(self) -> int:
        """The rows that may wait whatever the target; elements, where rows are padded and `queue_rows` is not set."""
        return self._room.sure

    def kind_of(self, lane: int) -> LaneKind:
        """Return the kind of a lane."""
        return self._kind_of[lane]

    def arrive(self, jobs: Sequence[Job], now_ns: int) -> Refusal | None:
        """Queue the jobs of one request, all of them, or say why not."""
        if self._incidents.broken == self.lanes:
            return Refusal(Shortage.LANES, self._incidents.sound_in(now_ns))
        refusal = self._room.refusal(jobs, now_ns, overloaded=self._overload.active)
        if refusal is None:
            for job in jobs:
                job.queued_ns = now_ns
                self._arrived_rows += job.rows
                self._queues.push(job)
        elif jobs[0].party is not None:
            self._courtesy.refused(sum([job.cost for job in jobs]))
        return refusal

    def cancel(self, job: Job) -> None:
        """Forget a job that has not started; a running one is left alone."""
        self._queues.cancel(job)

    def done(self, run: Dispatch, now_ns: int) -> None:
        """Free the lane; the jobs have their outputs."""
        self._ended(run, now_ns)
        self._kind_of[run.lane].latency.observe(run.cost, now_ns - run.begins_ns, now_ns)
        self._incidents.passed(run)
        for job in run.jobs:
            job.state = GONE
            if job.promised_ns:
                self._room.ended(job, now_ns)

    def failed(self, run: Dispatch, now_ns: int, *, out_of_memory: bool = False) -> None:
        """Free the lane and find the offender: halves run again until it stands alone."""
        self._ended(run, now_ns)
        if out_of_memory:
            self._kind_of[run.lane].memory_rows = max(1, run.cost // 2)
        if len(run.jobs) > 1:
            for job in run.jobs:
                self._queues.push_again(job)
        self._incidents.failed(run)

    def dropped(self, run: Dispatch, now_ns: int) -> None:
        """Free the lane of a run that was ended early, or failed when nobody waited for it any more."""
        self._ended(run, now_ns)
        self._incidents.dropped(run)
        for job in run.jobs:
            job.state = GONE

    def checked(self, lane: int, now_ns: int, *, sound: bool) -> None:
        """Hear how the stored input of a `Check` fared; a lane that is not sound rests for a while."""
        self._incidents.checked(lane, now_ns, sound=sound)
        if sound:
            self._kind_of[lane].free.append(lane)

    def tick(self, now_ns: int) -> list[Action]:
        """Decide: expire what is too late, then fill the free lanes."""
        if self._arrived_rows:
            self._sizing.rate.arrived(self._arrived_rows, now_ns)
            self._arrived_rows = 0
        self._wake_ns = self._sizing.wake_ns = NEVER_NS
        actions: list[Action] = []
        if self.backlog.jobs:
            actions += [Expire(job) for job in self._queues.expired(now_ns)]
        while self.backlog.jobs and (run := self._rerun(now_ns) or self._next(actions, now_ns)) is not None:
            actions.append(run)
        if not self._incidents.quiet:
            actions += self.verdicts(now_ns)
        if not self.backlog.jobs:
            self._rest()
        self._room.refresh()
        return actions

    def _rest(self) -> None:
        self._queues.rest()
        self._overload.emptied()
        for kind in self.kinds:
            if kind.tenant is not None:
                kind.tenant.rest()

    def _next(self, actions: list[Action], now_ns: int) -> Dispatch | None:
        """Return the next run, None if nothing can or should start now; what is dropped on the way joins the actions."""
        before = -1
        while before < len(actions):  # what was dropped leaves its place to others
            before = len(actions)
            for _, line, head in self._queues.in_order():
                kind = self._kind_for(head, now_ns)
                if kind is None:
                    return None
                run = self._form(line, head, kind, actions, now_ns)
                if run is not None:
                    return run
                if len(actions) > before:
                    break
        return None

    def _kind_for(self, head: Job, now_ns: int) -> LaneKind | None:
        """Return the preferred kind if it has a free lane, else another that would end in time where the preferred one would not."""
        preferred = self.kinds[0]
        if self._has_lane(preferred, now_ns):
            return preferred
        for kind in self.kinds[1:]:
            if kind.free and self._spills(head, preferred, kind, now_ns):
                return kind
        return None

    def _has_lane(self, kind: LaneKind, now_ns: int) -> bool:
        if not kind.staged or not kind.running:
            return bool(kind.free)
        # Sealing the next batch before it is needed would keep later rows out of it.
        ready_ns = kind.next_end(now_ns) - int(kind.prepare_ns)
        if kind.free and ready_ns > now_ns:
            self._wake_ns = min(self._wake_ns, ready_ns)
        return bool(kind.free) and ready_ns <= now_ns

    def _spills(self, head: Job, preferred: LaneKind, kind: LaneKind, now_ns: int) -> bool:
        late = preferred.free_at(now_ns) + preferred.latency.bound(head.cost) > head.due_ns
        return self.limits.spill and late and now_ns + kind.latency.bound(head.cost) <= head.due_ns

    def _form(self, line: Line, head: Job, kind: LaneKind, actions: list[Action], now_ns: int) -> Dispatch | None:
        """Return a run of the first jobs of a line, None if they had better wait or can only be dropped, which joins the actions."""
        sizing = self._sizing
        rows, reason = sizing.wanted(line, head, kind, now_ns) if kind is self.kinds[0] else sizing.spilled(head, kind, now_ns)
        if rows == 0:
            if kind.tenant is not None:
                kind.tenant.rest()
            return None
        most = min(rows, line.rows)
        rows = kind.fitting(most, head.key.length)[0]
        here = kind.place.is_here(rows * head.key.length)
        if not here and kind.tenant is not None and not kind.tenant.may_start(now_ns - head.queued_ns):
            return None
        window = self._selection.take(line, kind, rows, now_ns)
        actions += [Expire(job) for job in window.hopeless]
        if not window.run:
            return None
        reason = Reason.DEADLINE if window.later else Reason.BUCKET if rows < most else reason
        return self._start(window.run, kind, reason, now_ns, here=here)

    def _start(self, jobs: Sequence[Job], kind: LaneKind, reason: Reason, now_ns: int, *, here: bool) -> Dispatch:
        rows = self._queues.start(jobs)
        run = Dispatch(kind.free.pop(), jobs, rows, reason, now_ns)
        run.length = kind.padded(max([job.length for job in jobs])) if jobs[0].length else 0
        length = run.length or jobs[0].key.length
        run.run_rows = kind.fitting(rows, length)[1]
        run.cost = run.run_rows * length
        if jobs[0].party is not None:
            self._courtesy.served(run.cost)
        run.expected_ns = kind.latency.expect(run.cost)
        run.waited_ns = now_ns - jobs[0].queued_ns
        run.here = here
        if kind.staged:
            run.begins_ns = kind.next_end(now_ns)
        kind.running[run.lane] = run
        self._overload.waited(run.waited_ns, now_ns)
        if kind.tenant is not None and not here:
            kind.tenant.started(run.expected_ns)
        return run

    def _ended(self, run: Dispatch, now_ns: int) -> None:
        kind = self._kind_of[run.lane]
        del kind.running[run.lane]
        kind.free.append(run.lane)
        if kind.staged:
            run.begins_ns = max(run.started_ns, kind.ended_ns)
        kind.ended_ns, kind.took_ns = now_ns, now_ns - run.begins_ns
        if kind.tenant is not None and not run.here:
            kind.tenant.ended(run.expected_ns, kind.took_ns)

    def _rerun(self, now_ns: int) -> Dispatch | None:
        """Return a run of suspects: they go first, for their callers have waited longest."""
        if self._incidents.quiet:
            return None
        kind = next((kind for kind in self.kinds if kind.free), None)
        if kind is None or (again := self._incidents.next_rerun()) is None:
            return None
        bisection, jobs = again
        run = self._start(jobs, kind, Reason.RERUN, now_ns, here=kind.place.is_here(sum(job.cost for job in jobs)))
        self._incidents.began(run.lane, bisection)
        return run

    def verdicts(self, now_ns: int) -> list[Verdict]:
        """Return what follows from failures: who is told, and which lanes are to be checked. Ask after each failure."""
        incidents = self._incidents
        if incidents.quiet:
            return []
        incidents.settle()
        verdicts: list[Verdict] = [Blame(job) for job in incidents.blamed]
        verdicts += [Lost(job) for job in incidents.lost]
        incidents.blamed, incidents.lost = [], []
        verdicts += [Check(lane) for lane in incidents.try_again(now_ns)]
        for kind in self.kinds:
            while kind.free and incidents.next_check():
                lane = kind.free.pop()
                incidents.begin_check(lane)
                verdicts.append(Check(lane))
        return verdicts
