"""Parties in one queue: each gets its part, whatever the others ask for, and nobody pays for what nobody else wants."""

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from penstock.batching.actions import Dispatch
from penstock.batching.job import Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.queues import Queues
from penstock.batching.room import Shortage
from penstock.batching.scheduler import Scheduler
from penstock.domain.clock import NS_PER_MS, NS_PER_S
from penstock.domain.tenant import Tenant

KEY = Key(("Y",))
OTHER_KEY = Key(("Z",))
TIMES_NS = {rows: 1_000_000 + 100_000 * rows for rows in (1, 2, 4, 8)}


def scheduler(**limits: Any) -> Scheduler:
    """Return a scheduler of one lane whose model is known: 1.8 ms for the largest batch of 8 rows."""
    latency = LatencyModel(TIMES_NS)
    for _ in range(8):
        for rows, ns in TIMES_NS.items():
            latency.observe(rows, ns, 0)
    return Scheduler(BatchLimits(**{"max_rows": 8, **limits}), [LaneKind(1, latency)], slo_ns=20 * NS_PER_MS)


def job(party: Tenant | None, now_ns: int = 0, key: Key = KEY, rows: int = 1, size_bytes: int = 0) -> Job:
    """Return a job as most requests make them."""
    due_ns = now_ns + 20 * NS_PER_MS
    return Job({}, rows, key, due_ns=due_ns, deadline_ns=now_ns + 30 * NS_PER_S, party=party, size_bytes=size_bytes)


def runs(subject: Scheduler, now_ns: int) -> list[Dispatch]:
    """Return what starts now."""
    return [action for action in subject.tick(now_ns) if isinstance(action, Dispatch)]


def taken(queues: Queues, jobs: Iterable[Job], most: int) -> list[Job]:
    """Let jobs wait, and return the first that come out one by one, whatever their key."""
    for each in jobs:
        queues.push(each)
    out: list[Job] = []
    while len(out) < most and (order := queues.in_order()):
        _, line, _ = order[0]
        (first,) = queues.take(line, 1, together=False)
        queues.start([first])
        out.append(first)
    return out


def test_newcomer_goes_before_the_backlog_of_a_greedy_one() -> None:
    """Its job came last, and is among the next two."""
    greedy, other = Tenant("greedy"), Tenant("other")

    order = taken(Queues(), [*(job(greedy, n) for n in range(100)), job(other, 1000)], 3)

    assert other in [each.party for each in order[:2]]


@pytest.mark.parametrize(("weight", "part"), [(1.0, 50), (3.0, 75), (0.25, 20)])
def test_parts_follow_the_weights(weight: float, part: int) -> None:
    """While both wait."""
    one, other = Tenant("one", weight), Tenant("other")

    order = taken(Queues(), [job(party, n) for n in range(200) for party in (one, other)], 100)

    assert abs(sum(each.party is one for each in order) - part) <= 1


def test_parts_are_counted_in_rows_and_over_all_lines() -> None:
    """Long requests, and requests that cannot share a run with others', bring nobody more."""
    one, other = Tenant("one"), Tenant("other")
    jobs = [each for n in range(100) for each in (job(one, n, KEY, rows=4), job(other, n, OTHER_KEY), job(other, n, KEY))]

    order = taken(Queues(), jobs, 120)

    rows = Counter({one: 0, other: 0})
    for each in order:
        rows[each.party] += each.rows  # type: ignore[index]
    assert abs(rows[one] - rows[other]) <= 4


def test_nobody_is_owed_for_the_time_when_it_did_not_wait() -> None:
    """A party that comes back shares from then on; it does not take what it left before."""
    one, other = Tenant("one"), Tenant("other")
    queues = Queues()
    taken(queues, [job(one, n) for n in range(100)], 50)

    order = taken(queues, [job(other, n) for n in range(50)], 20)

    assert abs(sum(each.party is one for each in order) - 10) <= 1


def test_one_party_is_served_as_if_nobody_were_told_apart() -> None:
    """The same jobs, in the same batches, whatever their deadlines and priorities."""

    def dispatched(party: Tenant | None) -> list[tuple[int, ...]]:
        source, subject, now_ns, told = random.Random(7), scheduler(), 0, []
        for _ in range(300):
            for _ in range(source.randrange(12)):
                due_ns = now_ns + source.randrange(1, 60) * NS_PER_MS
                priority, key = source.randrange(3), source.choice([KEY, KEY, OTHER_KEY])
                subject.arrive(
                    (Job({}, source.randrange(4), key, due_ns=due_ns, deadline_ns=due_ns, priority=priority, party=party),), now_ns
                )
            started = runs(subject, now_ns)
            told += [tuple(each.number for each in run.jobs) for run in started]
            now_ns += 2 * NS_PER_MS
            for run in started:
                subject.done(run, now_ns)
        return told

    assert dispatched(Tenant("one")) == dispatched(None)


def test_light_party_is_taken_in_though_the_queue_is_full() -> None:
    """The greedy one is refused; the other one neither is, nor waits longer than a run or two."""
    greedy, light = Tenant("greedy"), Tenant("light")
    subject, now_ns, waits, refused = scheduler(), 0, list[int](), Counter[str]()
    running: Dispatch | None = None
    for step in range(2000):
        arriving = [job(greedy, now_ns) for _ in range(10)] + ([job(light, now_ns)] if step % 5 == 0 else [])
        for each in arriving:
            if subject.arrive((each,), now_ns) is not None:
                refused[each.party.name] += 1  # type: ignore[union-attr]
        if running is not None and now_ns >= running.started_ns + TIMES_NS[8]:
            subject.done(running, now_ns)
            running = None
        for run in runs(subject, now_ns):
            running = run
            waits += [now_ns - each.queued_ns for each in run.jobs if each.party is light]
        now_ns += NS_PER_MS // 2

    assert refused["greedy"] > 5000
    assert refused["light"] == 0
    assert len(waits) > 390
    assert sorted(waits)[int(len(waits) * 0.99)] <= 2 * TIMES_NS[8]


def test_rows_that_may_wait_are_divided() -> None:
    """Where the settings bound the queue."""
    greedy, light = Tenant("greedy"), Tenant("light")
    subject = scheduler(queue_rows=100)
    told = [subject.arrive((job(greedy, n),), 0) for n in range(200)]
    assert {refusal.shortage for refusal in told if refusal is not None} == {Shortage.ROWS}

    taken_in = sum(subject.arrive((job(light, n),), 0) is None for n in range(200))

    assert 45 <= taken_in <= 60
    assert subject.arrive((job(greedy, 0),), 0) is not None


def test_bytes_leave_room_for_somebody_else_and_are_never_exceeded() -> None:
    """Three quarters are the most of one party; a single large request may still come."""
    greedy, light = Tenant("greedy"), Tenant("light")
    subject = scheduler(queue_bytes=1000, queue_rows=10_000)
    for n in range(200):
        subject.arrive((job(greedy, n, size_bytes=10),), 0)

    assert subject.backlog.size_bytes == 750
    assert subject.arrive((job(light, 0, size_bytes=200),), 0) is None
    assert subject.arrive((job(light, 0, size_bytes=100),), 0) is not None
    assert scheduler(queue_bytes=1000).arrive((job(greedy, 0, size_bytes=900),), 0) is None


def test_books_are_empty_once_nobody_waits() -> None:
    """Jobs end in every way that there is: run, cancelled, expired, failed and run again."""
    source, subject, now_ns = random.Random(3), scheduler(), 0
    parties = [None, *(Tenant(str(n), n + 0.1) for n in range(5))]
    waiting: list[Job] = []
    for step in range(500):
        each = job(source.choice(parties), now_ns, source.choice([KEY, OTHER_KEY]))
        each.deadline_ns = now_ns + source.choice([3 * NS_PER_MS, 30 * NS_PER_S])
        if subject.arrive((each,), now_ns) is None:
            waiting.append(each)
        if step % 7 == 0 and waiting:
            subject.cancel(waiting.pop(source.randrange(len(waiting))))
        for run in runs(subject, now_ns):
            if step % 11 == 0:
                subject.failed(run, now_ns + NS_PER_MS)
            else:
                subject.done(run, now_ns + NS_PER_MS)
        now_ns += NS_PER_MS // 3
    while subject.busy:
        now_ns += NS_PER_MS
        for run in runs(subject, now_ns):
            subject.done(run, now_ns)

    assert not subject.backlog.parts
    assert subject.backlog.weight == 0
    assert not subject._queues._turns._had


def test_what_parties_had_is_forgotten_once_nobody_waits() -> None:
    """Also where all who waited left at once, during a run: the first to come back would wait for whoever comes later."""
    one, other, late = Tenant("one"), Tenant("other"), Tenant("late")
    subject, served = scheduler(queue_rows=10_000), Counter[str]()
    waiting = [job(party) for _ in range(400) for party in (one, other)]
    for each in waiting:
        subject.arrive((each,), 0)
    for _ in range(50):
        (run,) = runs(subject, 0)
        subject.done(run, 0)
    runs(subject, 0)
    for each in waiting:
        subject.cancel(each)
    runs(subject, 1)
    subject.done(subject.kinds[0].running[0], 2)
    for _ in range(50):
        for party in (late, one, other):
            subject.arrive((job(party, 2),), 2)
    while subject.backlog.jobs:
        (run,) = runs(subject, 2)
        served.update(each.party.name for each in run.jobs[:1] if isinstance(each.party, Tenant))
        if sum(served.values()) == 3:
            break
        subject.done(run, 2)

    assert set(served) == {"late", "one", "other"}
