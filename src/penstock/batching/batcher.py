"""Waits and acts for a scheduler: the asyncio side of one model version's queue."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, cast

from penstock.batching.actions import Blame, Check, Dispatch, Expire, Lost, Reason, Verdict
from penstock.batching.history import BatchHistory
from penstock.batching.job import RUNNING, Job
from penstock.batching.lane_kind import LaneKind
from penstock.batching.limits import BatchLimits
from penstock.batching.room import Refusal, Shortage
from penstock.batching.scheduler import Scheduler
from penstock.batching.work import LongWork, TicketJob, Work
from penstock.domain.batch import Batch, Run
from penstock.domain.clock import NS_PER_MS, NS_PER_S, Clock, monotonic
from penstock.domain.errors import DeadlineExceeded, Internal, OutOfMemory, Overloaded, PenstockError, Unavailable
from penstock.domain.halt import Halt
from penstock.domain.padded_batch import PaddedBatch
from penstock.domain.schema import ModelSchema
from penstock.domain.ticket import Ticket
from penstock.telemetry.statistics import VersionStatistics

_log = logging.getLogger(__name__)


class Lanes(Protocol):
    """Concurrent runs of one version's sessions."""

    stored: Batch | None
    """The warm-up input, which every sound lane can run; None if the model takes no synthetic input."""

    def run_here(self, lane: int, batch: Batch) -> Run:
        """Run the batch at once, on the event loop."""

    def run(self, lane: int, batch: Batch, done: Callable[[Run], None]) -> None:
        """Run the batch off the event loop and call `done` on it, once."""


class Batcher:
    """Takes tickets, lets the scheduler decide once per turn of the event loop, runs batches and ends the tickets.

    Lives on the event loop; only the lanes work elsewhere.
    """

    def __init__(
        self,
        schema: ModelSchema,
        limits: BatchLimits,
        kinds: Sequence[LaneKind],
        lanes: Lanes,
        statistics: VersionStatistics,
        *,
        slo_ms: float,
        clock: Clock = monotonic,
    ) -> None:
        self.schema: Final = schema
        self.slo_ms: Final = slo_ms
        self.history: Final = BatchHistory()
        self.refusals: Final[Counter[Shortage]] = Counter()
        """Requests that were not taken in, by what they would have needed more of."""
        self.expired: Final[Counter[str]] = Counter()
        """Jobs that left the queue without a run: the deadline had "passed", or keeping it was "hopeless"."""
        self.outage: Callable[[], Unavailable] | None = None
        """Returns why no run can succeed for a while; None if that is not known of. Whoever knows sets it."""
        self.watch: Callable[[Sequence[Ticket]], None] | None = None
        """Hears of the answered predictions of each run, before their callers do; of most versions nobody does."""
        self._slo_ns = int(slo_ms * NS_PER_MS)
        self.scheduler: Final = Scheduler(limits, kinds, slo_ns=self._slo_ns, can_check=lanes.stored is not None)
        self._max_rows = limits.max_rows if schema.batched else math.inf
        self._lanes = lanes
        self._statistics = statistics
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._turn_due = False
        self._early = False
        """Whether a decision in the middle of this turn is under way, or was of no use."""
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_ns = 0
        self._running: dict[int, Halt] = {}

    @property
    def stored(self) -> Batch | None:
        """An input that every sound lane can run, if there is one."""
        return self._lanes.stored

    def arrive(self, ticket: Ticket) -> None:
        """Queue the ticket's rows, or raise `Overloaded`, `Unavailable` or `DeadlineExceeded` at once."""
        deadline_ns, now_ns = ticket.request.deadline_ns, self._clock()
        if deadline_ns is not None and deadline_ns <= now_ns:
            raise DeadlineExceeded("the deadline had passed before the request was queued; it was not executed")
        if self.outage is not None:
            raise self.outage()
        scheduler = self.scheduler
        if scheduler.full and not self._early:
            self._decide_early()
        work = Work(ticket, self.schema, slo_ns=self._slo_ns, cancel=self._withdraw)
        if work.rows > self._max_rows:
            long = LongWork(work, scheduler.limits.max_rows, self._withdraw)
            refusal, ticket.queue = scheduler.arrive(long.jobs, now_ns), long
            if refusal is not None:
                long.let_go()
        else:
            refusal, ticket.queue = scheduler.arrive((work,), now_ns), work
        if refusal is not None:
            ticket.queue = None
            raise self._refused(refusal)
        self.decide_soon()

    def decide_soon(self) -> None:
        """Let all requests that are read in this turn of the loop meet before the scheduler decides."""
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _decide_early(self) -> None:
        """Run the batches that are complete, in the middle of a turn of the loop: a thousand connections are read in one turn.

        Called by the request after them, whose own end never comes before its queue has seen it; once, unless something ran.
        """
        self._early = True
        waiting = self.scheduler.backlog.cost
        self._decide()
        self._early = self.scheduler.backlog.cost >= waiting

    def close(self) -> None:
        """Let nothing wait for company any more; the version drains."""
        self.scheduler.close()
        self.decide_soon()

    def leave(self) -> None:
        """Give up the claims on devices; the version is unloaded."""
        if self._alarm is not None:
            self._alarm.cancel()
        for kind in self.scheduler.kinds:
            if kind.tenant is not None:
                kind.tenant.leave()

    def _turn(self) -> None:
        self._turn_due = self._early = False
        self._decide()

    def _decide(self) -> None:
        now_ns = self._clock()
        for action in self.scheduler.tick(now_ns):
            if isinstance(action, Dispatch):
                self._dispatch(action, now_ns)
            else:
                self._follow(action, now_ns)
        self._set_alarm(now_ns)

    def _set_alarm(self, now_ns: int) -> None:
        """Wake in time. An alarm that has become too early is left alone: most wait for a deadline that is met long before."""
        wakeup_ns = self.scheduler.next_wakeup_ns
        if wakeup_ns is None or (self._alarm is not None and self._alarm_ns <= wakeup_ns):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_ns = wakeup_ns
        self._alarm = self._loop.call_later((wakeup_ns - now_ns) / NS_PER_S, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._decide()

    def _follow(self, action: Expire | Verdict, now_ns: int) -> None:
        match action:
            case Expire(job=job):
                self.expired["passed" if job.deadline_ns <= now_ns else "hopeless"] += 1
                _owner(job).failed(_too_late(job, now_ns))
            case Blame(job=job):
                _owner(job).failed(job.error or Internal("the run of this request failed for no known reason"))
            case Lost(job=job):
                _owner(job).failed(
                    Unavailable("the model cannot run on its device at the moment: even its warm-up input fails; try again later")
                )
            case Check(lane=lane):
                self._check(lane)

    def _check(self, lane: int) -> None:
        assert self._lanes.stored is not None, "a scheduler asks for checks only where there is something to run"  # noqa: S101
        self._lanes.run(lane, self._lanes.stored, partial(self._checked, lane))

    def _checked(self, lane: int, run: Run) -> None:
        self.scheduler.checked(lane, self._clock(), sound=run.error is None)
        self.decide_soon()

    def _dispatch(self, action: Dispatch, now_ns: int) -> None:
        for job in _owners(action):
            timeline = job.ticket.timeline
            timeline.queue_ns = timeline.queue_ns or now_ns - job.queued_ns
            timeline.started_ns = timeline.started_ns or now_ns
        batch = self._batch(action)
        batch.again = action.reason is Reason.RERUN
        if action.here:
            self._ended(action, self._lanes.run_here(action.lane, batch))
        else:
            batch.halt = self._running[action.lane] = Halt()
            self._lanes.run(action.lane, batch, partial(self._ended, action))

    def _batch(self, action: Dispatch) -> Batch:
        outputs, padding = action.jobs[0].key.outputs, self.schema.padding
        if action.length and padding is not None:
            return PaddedBatch(action.jobs, outputs, padding, action.length, action.run_rows)
        return Batch(action.jobs, outputs, action.run_rows)

    def _ended(self, action: Dispatch, run: Run) -> None:
        """Hear of a run's end: the lane is free, and its jobs have outputs, an error, or nobody who waits for them."""
        self._running.pop(action.lane, None)
        now_ns = self._clock()
        if run.error is None:
            self._answer(action, run, now_ns)
        elif isinstance(run.error, Unavailable) or all(job.ticket.outcome is not None for job in _owners(action)):
            self._dropped(action, run.error, now_ns)
        else:
            self._failed(action, run.error, now_ns)
        self.history.add(action, now_ns, failed=run.error is not None)
        if self.scheduler.busy:
            self.decide_soon()

    def _answer(self, action: Dispatch, run: Run, now_ns: int) -> None:
        self.scheduler.done(action, now_ns)
        kind = self.scheduler.kind_of(action.lane)
        kind.ran(action, run)
        each = zip(_owners(action), run.outputs, strict=True)
        settled = [job.finished(outputs, run, action.rows, now_ns) for job, outputs in each]
        tickets = [ticket for ticket in settled if ticket is not None]
        # Counters move before the replies do: a client that asks for statistics right after its answer finds itself in them.
        self._statistics.executed(action.rows, run)
        self._statistics.answered(tickets)
        if self.watch is not None:
            self.watch(tickets)
        for ticket in tickets:
            try:
                ticket.deliver()
            except Exception:  # the others of the run still get their answers
                _log.exception("an answer could not be delivered for a reason of ours")

    def _dropped(self, action: Dispatch, error: PenstockError, now_ns: int) -> None:
        """Look for no offender: nobody waits for the run any more, or it has not been run at all."""
        self.scheduler.dropped(action, now_ns)
        for job in _owners(action):
            job.failed(error)

    def _failed(self, action: Dispatch, error: PenstockError, now_ns: int) -> None:
        for job in action.jobs:
            job.error = error
        self.scheduler.failed(action, now_ns, out_of_memory=isinstance(error, OutOfMemory))
        for verdict in self.scheduler.verdicts(now_ns):
            self._follow(verdict, now_ns)
        for job in action.jobs:  # nothing runs again for a caller who has left
            if _owner(job).ticket.outcome is not None:
                self.scheduler.cancel(job)

    def _withdraw(self, job: Job) -> None:
        """Take a job out of the queue; a run whose callers have all left is ended."""
        self.scheduler.cancel(job)
        if job.state != RUNNING:
            return
        for lane, halt in self._running.items():
            mates = self.scheduler.kind_of(lane).running[lane].jobs
            if job in mates and all(_owner(mate).ticket.outcome is not None for mate in mates):
                halt.ask()

    def _refused(self, refusal: Refusal) -> PenstockError:
        self.refusals[refusal.shortage] += 1
        backlog, limits, retry_s = self.scheduler.backlog, self.scheduler.limits, max(1.0, math.ceil(refusal.wait_ns / NS_PER_S))
        match refusal.shortage:
            case Shortage.LANES:
                return Unavailable("the model cannot run on its device at the moment: even its warm-up input fails", retry_after_s=retry_s)
            case Shortage.BYTES:
                why = f"{backlog.size_bytes} bytes of input wait, the limit is {limits.queue_bytes}"
            case Shortage.ROWS:
                elements = limits.max_elements is not None and limits.queue_rows is None
                waiting = f"{backlog.cost} elements" if elements else f"{backlog.rows} rows"
                why = f"{waiting} wait, the limit is {self.scheduler.room_rows}"
            case Shortage.TIME:
                why = f"{backlog.rows} rows wait, and the answer would come {refusal.wait_ns / NS_PER_MS:.0f} ms too late"
        return Overloaded(f"the queue of this model is full: {why}; try again later or send less at once", retry_after_s=retry_s)


def _owner(job: Job) -> TicketJob:
    """Return a job as what the batcher has queued: it queues only jobs of tickets."""
    return cast(TicketJob, job)


def _owners(action: Dispatch) -> Sequence[TicketJob]:
    return cast(Sequence[TicketJob], action.jobs)


def _too_late(job: Job, now_ns: int) -> DeadlineExceeded:
    waited_ms = (now_ns - job.queued_ns) / NS_PER_MS
    passed = "passed" if job.deadline_ns <= now_ns else "would have passed before a run could end,"
    return DeadlineExceeded(f"the deadline {passed} after {waited_ms:.0f} ms in the queue; it was not executed")
