"""When waiting pays, when dividing pays, and how a standing queue is told from a burst."""

import pytest

from penstock.batching.arrivals import ArrivalRate
from penstock.batching.latency import LatencyModel
from penstock.batching.overload import Overload
from penstock.batching.waiting_rules import worth_splitting, worth_waiting
from penstock.domain.clock import NS_PER_MS, NS_PER_S

GATHERS = LatencyModel({rows: 5 * NS_PER_MS + rows * NS_PER_MS // 2 for rows in (1, 2, 4, 8, 16)})
ALONE = LatencyModel({rows: NS_PER_MS // 5 + 2 * rows * NS_PER_MS for rows in (1, 2, 4, 8, 16)})


@pytest.mark.parametrize(("per_second", "goes_at"), [(200, 1), (1000, 4), (10, 1)])
def test_wait_ends_where_theory_says(per_second: int, goes_at: int) -> None:
    """5 ms and 0.5 ms per row: at 200 rows/s nobody waits, at 1000 rows/s the batch goes at four."""
    gap_ns = NS_PER_S / per_second

    waits = [worth_waiting(rows, gap_ns, GATHERS, 0) for rows in range(1, 8)]

    assert waits.index(False) + 1 == goes_at
    assert not any(waits[goes_at - 1 :])


def test_others_who_wait_for_the_device_make_waiting_pay() -> None:
    """A fixed cost saved is theirs."""
    gap_ns = NS_PER_S / 200

    assert not worth_waiting(1, gap_ns, GATHERS, 0)
    assert worth_waiting(1, gap_ns, GATHERS, 2)


def test_short_queue_is_divided_when_load_is_low_and_batching_pays_little() -> None:
    """Two idle lanes with cores of their own end four rows sooner together."""
    assert worth_splitting(4, 2, NS_PER_S / 10, ALONE, 16)
    assert not worth_splitting(4, 2, NS_PER_S / 5000, GATHERS, 16)


def test_gap_follows_arrivals_and_a_silence() -> None:
    """Steady rows give their gap; after a silence it is longer at once."""
    rate = ArrivalRate()
    for number in range(1, 500):
        rate.arrived(1, number * NS_PER_MS)

    assert rate.gap_ns(499 * NS_PER_MS) == pytest.approx(NS_PER_MS, rel=0.05)
    assert rate.gap_ns(599 * NS_PER_MS) == 100 * NS_PER_MS


def test_overload_is_a_queue_that_nobody_leaves_soon() -> None:
    """One short wait in an interval of 100 ms shows that the queue empties."""
    standing, burst = Overload(10 * NS_PER_MS), Overload(10 * NS_PER_MS)

    for step in range(40):
        now_ns = NS_PER_S + step * 10 * NS_PER_MS
        standing.waited(50 * NS_PER_MS, now_ns)
        burst.waited((50 if step % 9 else 1) * NS_PER_MS, now_ns)

    assert standing.active
    assert not burst.active


def test_empty_queue_ends_the_overload() -> None:
    """Whoever comes to an empty queue is welcome."""
    overload = Overload(NS_PER_MS)
    for step in range(40):
        overload.waited(50 * NS_PER_MS, NS_PER_S + step * 10 * NS_PER_MS)
    assert overload.active

    overload.emptied()

    assert not overload.active
