"""A pure state machine that decides which jobs run next, in which lane.

No clock, no I/O, no threads: time comes in as integer nanoseconds, decisions go out as actions. The rule of this first form is
greedy: as soon as a lane is free it takes everything compatible up to the limit, earliest due first. It adapts by itself, since
batches grow while lanes are busy (mean batch = lambda * alpha / (1 - lambda * beta) for a run of alpha + beta * b; Inoue,
"Queueing analysis of GPU-based inference servers with dynamic batching", 2019).
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from penstock.batching.job import Job, JobState, Key
from penstock.batching.limits import BatchLimits

_Entry = tuple[int, int, int, Job]  # priority, due, arrival: first in, first out among equals


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Run these jobs together in this lane."""

    lane: int
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Expire:
    """Tell the caller that the job's time has run out; it was not executed."""

    job: Job


Action = Dispatch | Expire


class Scheduler:
    """The queues of one model version and the lanes that serve them."""

    def __init__(self, limits: BatchLimits, lanes: int) -> None:
        self.limits: Final = limits
        self.lanes: Final = lanes
        self.waiting_rows = 0
        self.waiting_jobs = 0
        self.waiting_bytes = 0
        self._free = list(range(lanes - 1, -1, -1))
        self._queues: dict[Key, list[_Entry]] = {}
        self._deadlines: list[tuple[int, int, Job]] = []
        self._again: deque[tuple[Job, ...]] = deque()
        self._arrivals = 0
        self._gone = 0  # cancelled and expired jobs that heaps may still hold

    def __repr__(self) -> str:
        return f"<Scheduler {self.waiting_rows} rows waiting, {self.running} of {self.lanes} lanes running>"

    @property
    def running(self) -> int:
        """Lanes that run a batch."""
        return self.lanes - len(self._free)

    @property
    def next_wakeup_ns(self) -> int | None:
        """When `tick` must be called although nothing happens: the earliest deadline of a waiting job."""
        self._prune_deadlines()
        return self._deadlines[0][0] if self._deadlines else None

    def has_room(self, jobs: Sequence[Job]) -> bool:
        """Tell whether the jobs fit, all of them: an empty queue takes anything, a full one nothing."""
        if not self.waiting_jobs:
            return True
        rows = size = 0
        for job in jobs:
            rows += job.rows
            size += job.size_bytes
        taken_at_once = len(self._free) * self.limits.max_rows
        return self.waiting_rows + rows <= self.limits.queue_rows + taken_at_once and self.waiting_bytes + size <= self.limits.queue_bytes

    def arrive(self, jobs: Sequence[Job]) -> None:
        """Queue the jobs of one request; ask `has_room` first."""
        for job in jobs:
            self._arrivals += 1
            queue = self._queues.get(job.key)
            if queue is None:
                queue = self._queues[job.key] = []
            heapq.heappush(queue, (job.priority, job.due_ns, self._arrivals, job))
            heapq.heappush(self._deadlines, (job.deadline_ns, self._arrivals, job))
            self.waiting_jobs += 1
            self.waiting_rows += job.rows
            self.waiting_bytes += job.size_bytes

    def cancel(self, job: Job) -> None:
        """Forget a job that has not started; a running one is left alone."""
        if job.state is JobState.WAITING:
            job.state = JobState.GONE
            self._count(job, -1)
            self._gone += 1
            if self._gone > 2 * self.waiting_jobs + 64:
                self._compact()

    def batch_done(self, lane: int, jobs: Sequence[Job]) -> None:
        """Free the lane; the jobs have their outputs."""
        self._free.append(lane)
        for job in jobs:
            job.state = JobState.GONE

    def batch_failed(self, lane: int, jobs: Sequence[Job]) -> None:
        """Free the lane and run both halves of the batch again, so that only the offending request fails.

        Call `batch_done` for a single job that failed: it has nobody left to be told apart from.
        """
        self._free.append(lane)
        middle = len(jobs) // 2
        for half in (tuple(jobs[:middle]), tuple(jobs[middle:])):
            self._again.append(half)
            for job in half:
                job.state = JobState.WAITING
                self._count(job, +1)
                self._arrivals += 1
                heapq.heappush(self._deadlines, (job.deadline_ns, self._arrivals, job))

    def tick(self, now_ns: int) -> list[Action]:
        """Decide: expire what is too late, then fill the free lanes."""
        actions: list[Action] = list(self._expired(now_ns))
        while self._free and self.waiting_jobs:
            jobs = self._take_again() or self._take()
            actions.append(Dispatch(self._free.pop(), jobs))
        return actions

    def _expired(self, now_ns: int) -> list[Expire]:
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now_ns:
            job = heapq.heappop(self._deadlines)[2]
            if job.state is JobState.WAITING:
                self.cancel(job)
                expired.append(Expire(job))
        return expired

    def _take_again(self) -> tuple[Job, ...]:
        while self._again:
            jobs = tuple(job for job in self._again.popleft() if job.state is JobState.WAITING)
            if jobs:
                return self._started(jobs)
        return ()

    def _take(self) -> tuple[Job, ...]:
        key = self._most_urgent()
        if key is None:
            return ()
        queue = self._queues[key]
        jobs = [heapq.heappop(queue)[3]]
        rows = jobs[0].rows
        while self.limits.together and rows and (head := self._head(queue)) is not None:
            if not head.rows or rows + head.rows > self.limits.max_rows:
                break
            rows += head.rows
            jobs.append(heapq.heappop(queue)[3])
        if not queue:
            del self._queues[key]
        return self._started(tuple(jobs))

    def _most_urgent(self) -> Key | None:
        if len(self._queues) == 1:  # the usual case, without building a list of heads
            (key,) = self._queues
            return key if self._head(self._queues[key]) is not None else self._forget(key)
        heads = [(queue[0][:3], key) for key, queue in list(self._queues.items()) if self._head(queue) or self._forget(key)]
        return min(heads, key=lambda head: head[0])[1] if heads else None

    def _forget(self, key: Key) -> Key | None:
        del self._queues[key]
        return None

    def _head(self, queue: list[_Entry]) -> Job | None:
        while queue and queue[0][3].state is not JobState.WAITING:
            heapq.heappop(queue)
        return queue[0][3] if queue else None

    def _started(self, jobs: tuple[Job, ...]) -> tuple[Job, ...]:
        rows = size = 0
        for job in jobs:
            job.state = JobState.RUNNING
            rows += job.rows
            size += job.size_bytes
        self.waiting_jobs -= len(jobs)
        self.waiting_rows -= rows
        self.waiting_bytes -= size
        return jobs

    def _count(self, job: Job, sign: int) -> None:
        self.waiting_jobs += sign
        self.waiting_rows += sign * job.rows
        self.waiting_bytes += sign * job.size_bytes

    def _compact(self) -> None:
        """Drop what no longer waits from every heap, so that callers who leave do not make them grow."""
        self._gone = 0
        self._deadlines = [entry for entry in self._deadlines if entry[2].state is JobState.WAITING]
        heapq.heapify(self._deadlines)
        for key, queue in list(self._queues.items()):
            queue[:] = [entry for entry in queue if entry[3].state is JobState.WAITING]
            heapq.heapify(queue)
            if not queue:
                self._forget(key)

    def _prune_deadlines(self) -> None:
        if len(self._deadlines) > 2 * self.waiting_jobs + 64:
            self._compact()
        while self._deadlines and self._deadlines[0][2].state is not JobState.WAITING:
            heapq.heappop(self._deadlines)
