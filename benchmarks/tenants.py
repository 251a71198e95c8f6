"""What a tenant notices of a greedy one: `python benchmarks/tenants.py`, some ten seconds.

The scheduler of the server on a clock of its own, so that the figures are the same on every machine: one lane, a target of 100 ms, three
kinds of model. The light tenant asks for 30 % of what the lane can do, one row at a time, at random instants; the greedy one for ten
times as much. Three columns: the light tenant alone; with the greedy one, told apart by keys; and not told apart.
"""

import heapq
import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from penstock.batching.actions import Dispatch
from penstock.batching.job import Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler
from penstock.domain.clock import NS_PER_MS, NS_PER_S
from penstock.domain.tenant import Tenant

_KEY: Final = Key(("Y",))
_SIZES: Final = (1, 2, 4, 8, 16, 32)
_MODELS: Final = {
    "a run of 5 ms + 0.05 ms per row": {rows: 5_000_000 + 50_000 * rows for rows in _SIZES},
    "a run of 2 ms + 0.2 ms per row": {rows: 2_000_000 + 200_000 * rows for rows in _SIZES},
    "a run of 1 ms + 0.5 ms per row": {rows: 1_000_000 + 500_000 * rows for rows in _SIZES},
}
_LIGHT, _TIMES, _SECONDS, _BEGUN_S = 0.3, 10, 5, 0.5
"""Requests of the first part of a second do not count: the queue fills."""


class Told(NamedTuple):
    """What became of the light tenant's requests."""

    p50_ms: float
    p99_ms: float
    refused: int
    count: int
    answers_per_s: float
    """Of both tenants."""


def simulated(times_ns: dict[int, int], *, greedy: bool, apart: bool) -> Told:
    """Return what the light tenant sees."""
    rate = _SIZES[-1] * NS_PER_S / times_ns[_SIZES[-1]]
    light, other = (Tenant("light"), Tenant("greedy")) if apart else (None, None)
    sources = [_arrivals(light, _LIGHT * rate, 0)] + ([_arrivals(other, _TIMES * _LIGHT * rate, 1)] if greedy else [])
    subject, mine, refused, answers = _scheduler(times_ns), set[int](), 0, 0
    took: list[int] = []
    ends: list[tuple[int, int, Dispatch]] = []
    arriving = heapq.merge(*sources)
    upcoming = next(arriving, None)
    while upcoming is not None or ends:
        if ends and (upcoming is None or ends[0][0] <= upcoming[0]):
            now_ns, _, run = heapq.heappop(ends)
            subject.done(run, now_ns)
            answers += run.rows
            took += [now_ns - job.queued_ns for job in run.jobs if id(job) in mine]
        else:
            assert upcoming is not None, "one of the two is there"
            now_ns, number, job = upcoming
            if number == 0 and now_ns >= _BEGUN_S * NS_PER_S:
                mine.add(id(job))
            refused += subject.arrive((job,), now_ns) is not None and id(job) in mine
            kept.append(job)
            upcoming = next(arriving, None)
        for action in subject.tick(now_ns):
            if isinstance(action, Dispatch):
                heapq.heappush(ends, (now_ns + _ran_ns(times_ns, action.rows), action.lane, action))
    took.sort()
    return Told(took[len(took) // 2] / 1e6, took[int(len(took) * 0.99)] / 1e6, refused, len(mine), answers / _SECONDS)


kept: Final[list[Job]] = []
"""Jobs of a simulation, so that no two share an identity."""


def _scheduler(times_ns: dict[int, int]) -> Scheduler:
    latency = LatencyModel(times_ns)
    for _ in range(8):
        for rows, ns in times_ns.items():
            latency.observe(rows, ns, 0)
    return Scheduler(BatchLimits(max_rows=_SIZES[-1]), [LaneKind(1, latency)], slo_ns=100 * NS_PER_MS)


def _arrivals(party: Tenant | None, rate: float, number: int) -> Iterator[tuple[int, int, Job]]:
    source, now_s = random.Random(number), 0.0
    while (now_s := now_s + source.expovariate(rate)) < _SECONDS:
        now_ns = int(now_s * NS_PER_S)
        yield now_ns, number, Job({}, 1, _KEY, due_ns=now_ns + 100 * NS_PER_MS, deadline_ns=now_ns + 30 * NS_PER_S, party=party)


def _ran_ns(times_ns: dict[int, int], rows: int) -> int:
    return times_ns[1] + (times_ns[2] - times_ns[1]) * (rows - 1)


def main() -> None:
    """Print the table."""
    for name, times_ns in _MODELS.items():
        alone = None
        print(name)
        for title, greedy, apart in (("alone", False, True), ("with keys", True, True), ("not told apart", True, False)):
            kept.clear()
            told = simulated(times_ns, greedy=greedy, apart=apart)
            alone = alone or told
            print(
                f"  {title:<16}p50 {told.p50_ms:6.2f} ms  p99 {told.p99_ms:6.2f} ms ({told.p99_ms / alone.p99_ms:.2f}x)  "
                f"refused {told.refused / told.count:6.1%}  {told.answers_per_s:7.0f} rows/s in all"
            )


if __name__ == "__main__":
    main()
