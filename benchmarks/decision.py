"""What a scheduling decision costs for each request: `python benchmarks/decision.py`, some seconds.

From the arrival of a job to the end of its run, without the run: admission, queue, choice of the batch, bookkeeping, learning. The job
itself is made beforehand. The baseline is a deque that jobs are appended to and popped from, the least that any queue costs.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter_ns, thread_time_ns
from typing import Final

from penstock.batching.actions import Dispatch
from penstock.batching.job import Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler
from penstock.domain.clock import NS_PER_MS, NS_PER_S

_KEY: Final = Key(("Y",))
_TIMES_NS: Final = {rows: 200_000 + 20_000 * rows for rows in (1, 2, 4, 8, 16, 32, 64)}
_ROUNDS: Final = 2000
_REPEATS: Final = 7
_DEEP: Final = 100_000


def common(count: int) -> list[Job]:
    """Return jobs as most requests make them: one row, deadlines far away, in the order in which they are due."""
    return [Job({}, 1, _KEY, due_ns=NS_PER_S + number, deadline_ns=30 * NS_PER_S + number) for number in range(count)]


def mixed(count: int) -> list[Job]:
    """Return jobs of three priorities whose deadlines are near and in no order."""
    source = random.Random(1)
    deadlines = [source.randrange(50, 200) * NS_PER_MS for _ in range(count)]
    return [Job({}, 1, _KEY, due_ns=ns, deadline_ns=ns, priority=source.randrange(3)) for ns in deadlines]


def scheduler(queue_rows: int | None = None) -> Scheduler:
    """Return a scheduler of one lane whose model is known."""
    latency = LatencyModel(_TIMES_NS)
    for _ in range(8):
        for rows, ns in _TIMES_NS.items():
            latency.observe(rows, ns, 0)
    return Scheduler(BatchLimits(max_rows=64, queue_rows=queue_rows), [LaneKind(1, latency)], slo_ns=100 * NS_PER_MS)


def one_by_one(make: Callable[[int], list[Job]], batch: int) -> float:
    """Return the CPU microseconds of one request when so many arrive during each run."""
    subject, jobs = scheduler(), iter(make(batch * _ROUNDS))
    started = thread_time_ns()
    for number in range(_ROUNDS):
        now_ns = number * NS_PER_MS // 100
        for _ in range(batch):
            subject.arrive((next(jobs),), now_ns)
        for run in _runs(subject, now_ns):
            subject.done(run, now_ns + _TIMES_NS.get(batch, NS_PER_MS))
    return (thread_time_ns() - started) / 1000 / batch / _ROUNDS


def deep(make: Callable[[int], list[Job]]) -> tuple[float, float]:
    """Return the microseconds of one request with 100,000 before it in the queue, on the way in and on the way out."""
    subject, jobs = scheduler(queue_rows=2 * _DEEP), make(_DEEP)
    started = perf_counter_ns()
    for job in jobs:
        subject.arrive((job,), 0)
    filled = perf_counter_ns()
    while subject.backlog.jobs:
        for run in _runs(subject, 1):
            subject.done(run, 1 + _TIMES_NS[64])
    return (filled - started) / 1000 / _DEEP, (perf_counter_ns() - filled) / 1000 / _DEEP


def bare(batch: int) -> float:
    """Return the CPU microseconds that a deque takes for each job."""
    jobs, queue = common(batch * _ROUNDS), deque[Job]()
    started = thread_time_ns()
    for start in range(0, len(jobs), batch):
        for job in jobs[start : start + batch]:
            queue.append(job)
        while queue:
            queue.popleft()
    return (thread_time_ns() - started) / 1000 / batch / _ROUNDS


def _runs(subject: Scheduler, now_ns: int) -> Iterator[Dispatch]:
    return (action for action in subject.tick(now_ns) if isinstance(action, Dispatch))


def main() -> None:
    """Print the table."""
    _print("a bare deque", f"{median(bare(16) for _ in range(_REPEATS)):6.2f} us per request")
    for name, make in (("common case", common), ("deadlines and priorities", mixed)):
        for batch in (1, 16, 64):
            cost = median(one_by_one(make, batch) for _ in range(_REPEATS))
            _print(f"{name}, batches of {batch}", f"{cost:6.2f} us per request")
        inward, outward = deep(make)
        _print(f"{name}, {_DEEP:,} queued", f"{inward:6.2f} us in, {outward:.2f} us out")


def _print(what: str, figure: str) -> None:
    print(f"{what:<42}{figure}")


if __name__ == "__main__":
    main()
