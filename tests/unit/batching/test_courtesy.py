"""Short runs for a quiet party: how long it waits beside a greedy one, and that nobody else is refused for its sake."""

import heapq
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from penstock.batching.actions import Dispatch
from penstock.batching.job import Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler
from penstock.domain.clock import NS_PER_MS, NS_PER_S
from penstock.domain.tenant import Tenant

KEY = Key(("Y",))
FULL = 32
ALPHA_NS, BETA_NS = NS_PER_MS, NS_PER_MS // 2
PEAK = FULL / (ALPHA_NS + BETA_NS * FULL) * NS_PER_S
"""Rows per second of a model whose rows take their time, each."""


def took_ns(rows: int) -> int:
    """Return how long a run takes."""
    return ALPHA_NS + BETA_NS * rows


def scheduler(*, adaptive: bool = True) -> Scheduler:
    """Return a scheduler of one lane whose model is known."""
    times_ns = {rows: took_ns(rows) for rows in (1, 2, 4, 8, 16, 32)}
    latency = LatencyModel(times_ns)
    for _ in range(8):
        for rows, ns in times_ns.items():
            latency.observe(rows, ns, 0)
    return Scheduler(BatchLimits(max_rows=FULL, adaptive=adaptive), [LaneKind(1, latency)], slo_ns=100 * NS_PER_MS)


class Lane:
    """A scheduler that is asked for random arrivals and served by a lane, on a clock of its own."""

    def __init__(self, subject: Scheduler) -> None:
        self.subject = subject
        self.waits: dict[str, list[int]] = {}
        self.refused: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.now_ns = 0

    def serve(self, seconds: float, rates: dict[Tenant, float]) -> None:
        """Let the tenants ask for so many rows per second, for so long."""
        ends: list[tuple[int, int, Dispatch]] = []
        begin_ns, end_ns = self.now_ns, self.now_ns + int(seconds * NS_PER_S)
        arriving = heapq.merge(*(arrivals(party, rate, begin_ns, end_ns) for party, rate in rates.items()), key=lambda each: each[0])
        upcoming = next(arriving, None)
        while upcoming is not None or ends:
            if ends and (upcoming is None or ends[0][0] <= upcoming[0]):
                self.now_ns, _, run = heapq.heappop(ends)
                self.subject.done(run, self.now_ns)
                for job in run.jobs:
                    self.waits.setdefault(job.party.name, []).append(self.now_ns - job.queued_ns)  # type: ignore[union-attr]
            else:
                assert upcoming is not None
                self.now_ns, job = upcoming
                if self.subject.arrive((job,), self.now_ns) is not None:
                    self.refused[job.party.name] += 1  # type: ignore[union-attr]
                upcoming = next(arriving, None)
            for action in self.subject.tick(self.now_ns):
                if isinstance(action, Dispatch):
                    self.sizes.append(action.rows)
                    heapq.heappush(ends, (self.now_ns + took_ns(action.rows), action.lane, action))

    def p99_ns(self, name: str) -> int:
        """Return what one in a hundred of a tenant's requests takes longer than."""
        waits = sorted(self.waits[name])
        return waits[int(len(waits) * 0.99)]

    def forget(self) -> None:
        """Begin to count."""
        self.waits, self.sizes, self.refused = {}, [], Counter()


def arrivals(party: Tenant, rate: float, begin_ns: int, end_ns: int) -> Iterator[tuple[int, Job]]:
    """Yield jobs at random instants."""
    source, now_ns = random.Random(party.name), float(begin_ns)
    while (now_ns := now_ns + source.expovariate(rate) * NS_PER_S) < end_ns:
        at = int(now_ns)
        yield at, Job({}, 1, KEY, due_ns=at + 100 * NS_PER_MS, deadline_ns=at + 30 * NS_PER_S, party=party)


def test_quiet_party_hardly_notices_a_greedy_one() -> None:
    """Its p99 stays within 1.3 times its own alone, though each row adds its full time."""
    quiet, greedy = Tenant("quiet"), Tenant("greedy")
    alone, beside = Lane(scheduler()), Lane(scheduler())
    alone.serve(3, {quiet: 0.3 * PEAK})
    beside.serve(0.5, {quiet: 0.3 * PEAK, greedy: 3 * PEAK})
    beside.forget()

    beside.serve(3, {quiet: 0.3 * PEAK, greedy: 3 * PEAK})

    assert beside.p99_ns("quiet") <= 1.3 * alone.p99_ns("quiet")
    assert beside.refused["quiet"] == 0
    assert len(beside.waits["greedy"]) >= 0.25 * 3 * PEAK, "what is left is the greedy one's"


@pytest.mark.parametrize("parts", [(0.3, 0.6), (0.45, 0.45), (0.1, 0.8)])
def test_nobody_is_refused_for_the_sake_of_short_runs(parts: tuple[float, float]) -> None:
    """What the lane can serve in full batches is served, whoever asks for it."""
    one, other = Tenant("one"), Tenant("other")
    lane = Lane(scheduler())

    lane.serve(4, {one: parts[0] * PEAK, other: parts[1] * PEAK})

    assert lane.refused.total() <= 0.005 * sum(map(len, lane.waits.values()))


def test_runs_are_full_again_once_the_quiet_party_has_gone() -> None:
    """The greedy one has all of the lane, in batches of the best size."""
    quiet, greedy = Tenant("quiet"), Tenant("greedy")
    lane = Lane(scheduler())
    lane.serve(1, {quiet: 0.1 * PEAK, greedy: 3 * PEAK})
    assert lane.sizes.count(FULL) < len(lane.sizes) / 2

    lane.serve(1.1, {greedy: 3 * PEAK})
    lane.forget()
    lane.serve(1, {greedy: 3 * PEAK})

    assert lane.sizes.count(FULL) >= 0.9 * len(lane.sizes)


def test_two_greedy_parties_share_full_batches() -> None:
    """Neither is quiet, so that nothing is lost once both have been there for a second."""
    lane = Lane(scheduler())

    lane.serve(3, {Tenant("one"): 2 * PEAK, Tenant("other"): 2 * PEAK})

    assert lane.sizes[-100:].count(FULL) >= 90


def test_party_that_asks_for_more_than_its_part_does_not_go_first_for_long() -> None:
    """It has credit for what a part of the target serves; after that both have the same."""
    most, greedy = Tenant("most"), Tenant("greedy")
    lane = Lane(scheduler())
    lane.serve(0.5, {most: 0.05 * PEAK, greedy: 3 * PEAK})
    lane.forget()

    lane.serve(3, {most: 2 * PEAK, greedy: 3 * PEAK})

    served = {name: len(waits) for name, waits in lane.waits.items()}
    assert abs(served["most"] - served["greedy"]) <= 0.1 * served["greedy"]


def test_fixed_batches_stay_as_they_were_set() -> None:
    """Who fixes the size has decided."""
    lane = Lane(scheduler(adaptive=False))
    lane.serve(0.5, {Tenant("quiet"): 0.1 * PEAK, Tenant("greedy"): 3 * PEAK})
    lane.forget()

    lane.serve(0.5, {Tenant("quiet"): 0.1 * PEAK, Tenant("greedy"): 3 * PEAK})

    assert lane.sizes.count(FULL) >= 0.8 * len(lane.sizes)
