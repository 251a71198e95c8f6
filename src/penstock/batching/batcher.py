"""Waits and acts for a scheduler: the asyncio side of one model version's queue."""

import asyncio
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from penstock.batching.job import Job, Owner
from penstock.batching.limits import BatchLimits
from penstock.batching.place import RunPlace
from penstock.batching.scheduler import Dispatch, Expire, Scheduler
from penstock.batching.work import Work
from penstock.domain.batch import Batch, Run
from penstock.domain.clock import NS_PER_MS, NS_PER_S, Clock, monotonic
from penstock.domain.errors import DeadlineExceeded, Overloaded
from penstock.domain.schema import ModelSchema
from penstock.domain.ticket import Ticket
from penstock.telemetry.statistics import VersionStatistics

_RECENT = 0.2  # weight of the newest run in the mean that `Retry-After` is computed from


class Lanes(Protocol):
    """Concurrent runs of one session."""

    count: int
    hop_ns: int
    """What it takes to run on another thread and to hear of it: a shorter run is better done on the event loop."""

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
        lanes: Lanes,
        statistics: VersionStatistics,
        *,
        slo_ms: float,
        measured_ns: Mapping[int, int] | None = None,
        clock: Clock = monotonic,
    ) -> None:
        """`measured_ns` is what warm-up runs took, by rows."""
        self.schema: Final = schema
        self.slo_ms: Final = slo_ms
        self.scheduler: Final = Scheduler(limits, lanes.count)
        self._lanes = lanes
        self._statistics = statistics
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._turn_due = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_ns = 0
        self._run_ns = 0.0
        self._slo_ns = int(slo_ms * NS_PER_MS)
        self._place = RunPlace(lanes.hop_ns, measured_ns or {})

    def arrive(self, ticket: Ticket) -> None:
        """Queue the ticket's rows, or raise `Overloaded` or `DeadlineExceeded` at once."""
        deadline_ns, now_ns = ticket.request.deadline_ns, self._clock()
        if deadline_ns is not None and deadline_ns <= now_ns:
            raise DeadlineExceeded("the deadline had passed before the request was queued; it was not executed")
        scheduler = self.scheduler
        most = scheduler.limits.max_rows
        work = Work(ticket, self.schema, queued_ns=now_ns, max_rows=most, slo_ns=self._slo_ns, cancel=scheduler.cancel)
        if not scheduler.has_room(work.jobs):
            raise self._overloaded()
        ticket.queue = work
        scheduler.arrive(work.jobs)
        self._decide_soon()

    def _decide_soon(self) -> None:
        """Let all requests that are read in this turn of the loop meet before the scheduler decides."""
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        now_ns = self._clock()
        for action in self.scheduler.tick(now_ns):
            if isinstance(action, Dispatch):
                self._dispatch(action, now_ns)
            else:
                self._expire(action, now_ns)
        self._set_alarm(now_ns)

    def _set_alarm(self, now_ns: int) -> None:
        wakeup_ns = self.scheduler.next_wakeup_ns
        if self._alarm is not None and wakeup_ns != self._alarm_ns:
            self._alarm.cancel()
            self._alarm = None
        if self._alarm is None and wakeup_ns is not None:
            self._alarm_ns = wakeup_ns
            self._alarm = self._loop.call_later((wakeup_ns - now_ns) / NS_PER_S, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._turn()

    def _expire(self, action: Expire, now_ns: int) -> None:
        work = _work(action.job)
        waited_ms = (now_ns - work.ticket.request.arrived_ns) / NS_PER_MS
        work.failed(DeadlineExceeded(f"the deadline passed after {waited_ms:.0f} ms in the queue; it was not executed"))

    def _dispatch(self, action: Dispatch, now_ns: int) -> None:
        for job in action.jobs:
            _work(job).started(now_ns)
        batch = Batch(action.jobs, action.jobs[0].key.outputs)
        if self._place.is_here(batch.rows):
            run = self._lanes.run_here(action.lane, batch)
            self._place.ran_here(batch.rows, run)
            self._finished(action, batch.rows, run)
        else:
            self._lanes.run(action.lane, batch, partial(self._ran_there, action, batch.rows))

    def _ran_there(self, action: Dispatch, rows: int, run: Run) -> None:
        self._place.ran_there(rows, run)
        self._finished(action, rows, run)

    def _finished(self, action: Dispatch, rows: int, run: Run) -> None:
        self._run_ns += _RECENT * (run.total_ns - self._run_ns)
        if run.error is not None and len(action.jobs) > 1:
            self.scheduler.batch_failed(action.lane, action.jobs)
            self._drop_ended(action)
        else:
            self.scheduler.batch_done(action.lane, action.jobs)
            self._end(action, rows, run)
        self._decide_soon()

    def _drop_ended(self, action: Dispatch) -> None:
        """Run nothing again for a caller who has left, or who has been refused already."""
        for job in action.jobs:
            if _work(job).ticket.outcome is not None:
                self.scheduler.cancel(job)

    def _end(self, action: Dispatch, rows: int, run: Run) -> None:
        if run.error is not None:
            _work(action.jobs[0]).failed(run.error)
            return
        now_ns = self._clock()
        each = zip(action.jobs, run.outputs, strict=True)
        settled = [_work(job).finished(job, outputs, run, rows, now_ns) for job, outputs in each]
        tickets = [ticket for ticket in settled if ticket is not None]
        # Counters move before the replies do: a client that asks for statistics right after its answer finds itself in them.
        self._statistics.executed(rows, run)
        self._statistics.answered(tickets)
        for ticket in tickets:
            ticket.deliver()
        for job in action.jobs:
            job.work = None

    def _overloaded(self) -> Overloaded:
        scheduler, limits = self.scheduler, self.scheduler.limits
        batches = math.ceil(scheduler.waiting_rows / max(1, limits.max_rows))
        wait_s = batches * self._run_ns / NS_PER_S / scheduler.lanes
        return Overloaded(
            f"the queue of this model is full: {scheduler.waiting_rows} rows wait, the limits are {limits.queue_rows} rows and "
            f"{limits.queue_bytes} bytes; try again later or send less at once",
            retry_after_s=max(1.0, math.ceil(wait_s)),
        )


def _work(job: Job) -> Owner:
    assert job.work is not None, "a batcher queues only jobs of its own"  # noqa: S101
    return job.work
