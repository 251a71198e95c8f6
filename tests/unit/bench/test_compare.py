"""Comparisons of rounds: what is called worse, and what is not."""

import numpy as np
import pytest
from rounds import round_with

from penstock.bench.arrivals import Closed, Constant
from penstock.bench.compare import compared, interleaved
from penstock.bench.plan import Plan, Target
from penstock.bench.result import Change, Round

CLOSED = Plan(target=Target("host:1", "m"), load=Closed(8))
OPEN = Plan(target=Target("host:1", "m"), load=Constant(100))


def rounds(seed: int, *, slower: float = 1.0, count: int = 40, scatter: float = 0.04) -> list[Round]:
    """Return rounds whose latency, rate and cost scatter, by a server that is that many times slower."""
    generator = np.random.default_rng(seed)
    factors = slower * np.exp(generator.normal(0, scatter, count))
    return [
        round_with(latencies={round(5000 * factor): 100}, finished=round(10_000 / factor), server_cpu_s=0.05 * factor) for factor in factors
    ]


def change(plan: Plan, figure: str, theirs: list[Round], ours: list[Round], tolerances: dict[str, float] | None = None) -> Change | None:
    """Return one figure of a comparison."""
    comparison = compared("there", theirs, ours, plan, tolerances or {}, paired=True)
    return next((one for one in comparison.changes if one.figure == figure), None)


def test_equal_servers_are_not_blamed() -> None:
    """Of fifty comparisons of a server with itself, fewer than two fail."""
    blamed = [compared("there", rounds(seed), rounds(seed + 1000), CLOSED, {}, paired=True).worse for seed in range(50)]

    assert sum(blamed) < 2


@pytest.mark.parametrize("figure", ["rps", "cpu_us"])
def test_a_slowdown_of_ten_percent_is_seen(figure: str) -> None:
    """Of fifty comparisons with a server that is 10 % slower, at least 45 fail."""
    seen = [one for seed in range(50) if (one := change(CLOSED, figure, rounds(seed), rounds(seed + 1000, slower=1.1))) and one.worse]

    assert len(seen) >= 45


def test_faster_is_never_worse() -> None:
    """A server that takes half as long breaks nothing."""
    assert not compared("there", rounds(1), rounds(2, slower=0.5), CLOSED, {}, paired=True).worse


def test_small_differences_of_latency_are_below_the_floor() -> None:
    """Twice as long is not worse where it is a tenth of a millisecond."""
    fast, slow = ([round_with(latencies={us: 100})] * 5 for us in (100, 200))

    found = change(OPEN, "p50_ms", fast, slow)

    assert found is not None
    assert found.low > 1.9
    assert not found.worse


def test_few_errors_are_below_the_floor() -> None:
    """One failure in ten thousand is no news, one in a hundred is."""
    none, some, many = ([round_with(succeeded=10_000 - failed, failed=failed)] * 5 for failed in (0, 1, 100))

    assert [one.worse for more in (some, many) if (one := change(OPEN, "error_rate", none, more))] == [False, True]


def test_rate_is_judged_in_a_closed_loop_only() -> None:
    """In an open loop answers come as often as requests do, whatever the server is like."""
    assert change(OPEN, "rps", rounds(1), rounds(2)) is None
    assert change(CLOSED, "rps", rounds(1), rounds(2)) is not None


def test_cost_is_judged_where_both_are_known() -> None:
    """Without the baseline's process there is nothing to compare its cost with."""
    assert change(CLOSED, "cpu_us", [round_with()] * 5, rounds(1, count=5)) is None


def test_tolerance_is_what_was_asked() -> None:
    """A wider tolerance lets a slowdown pass."""
    found = change(CLOSED, "cpu_us", rounds(1), rounds(2, slower=1.1), {"cpu_us": 0.25})

    assert found is not None
    assert (found.tolerance, found.worse) == (0.25, False)


def test_unpaired_rounds_are_compared_by_their_medians() -> None:
    """An earlier run's rounds have no neighbours; the medians of both sides are compared."""
    comparison = compared("file", rounds(1, count=5), rounds(2, count=7, slower=1.5), CLOSED, {}, paired=False)

    assert {one.figure: one.worse for one in comparison.changes}["cpu_us"]
    assert comparison.rounds == 7


def test_rounds_are_taken_in_the_order_abba() -> None:
    """A drift of the machine hits both sides alike."""
    order: list[str] = []

    def side(name: str) -> Round:
        order.append(name)
        return round_with()

    interleaved(4, lambda: side("A"), lambda: side("B"))

    assert "".join(order) == "ABBAABBA"


def test_latencies_are_compared_where_there_are_any() -> None:
    """A server that has answered nothing is neither quick nor slow."""
    silent, fine = ([round_with(latencies=latencies, failed=failed)] * 5 for latencies, failed in (({}, 100), ({5000: 100}, 0)))

    assert change(OPEN, "p50_ms", silent, fine) is None
    assert change(OPEN, "p50_ms", fine, silent) is None
    assert (errors := change(OPEN, "error_rate", fine, silent)) is not None
    assert errors.worse
