"""The search for the highest rate that is kept."""

import pytest
from rounds import round_with

from penstock.bench.arrivals import Constant
from penstock.bench.plan import Plan, Target
from penstock.bench.result import Round
from penstock.bench.sweep import search, sweep
from penstock.bench.thresholds import threshold

PLAN = Plan(target=Target("host:1", "m"), load=Constant(100))


@pytest.mark.parametrize("limit", [3.0, 99.0, 100.0, 101.0, 12_345.0])
def test_highest_rate_is_found_to_five_percent(limit: float) -> None:
    """Whether the first rate is below or above, the search ends just under the limit."""
    found = search(100.0, lambda rate: rate <= limit)

    assert found is not None
    assert limit / 1.05 <= found <= limit


def test_no_rate_may_be_kept() -> None:
    """A server that breaks a threshold at one request per second has no highest rate."""
    assert search(100.0, lambda _rate: False) is None


def test_sweep_tells_its_curve_and_shows_the_best_round() -> None:
    """Points are in the order of rates; each that is not kept says why."""

    def measure(plan: Plan) -> Round:
        assert isinstance(plan.load, Constant)
        return round_with(latencies={round(plan.load.rate * 100): 100})

    found, best = sweep(PLAN, [threshold("p(99)<25ms")], measure)

    assert found.highest == pytest.approx(245, rel=0.05)
    rates = [point.rate for point in found.points]
    assert rates == sorted(rates)
    assert {point.why for point in found.points if not point.kept} == {"p(99)<25ms"}
    assert threshold("p(99)<25ms").judge(best).kept


def test_a_rate_that_cannot_be_sent_is_not_kept() -> None:
    """Where the generator falls behind, nothing is known of the server: the sweep does not count it as kept."""
    found, _ = sweep(PLAN, [threshold("p(99)<1s")], lambda _plan: round_with(due=200))

    assert found.highest is None
    assert "of the requests that were due were sent" in found.points[0].why
