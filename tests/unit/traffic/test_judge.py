"""The judge of a canary, on spans made by hand."""

import msgspec
import pytest

from penstock.telemetry.statistics import SPREAD_EDGES_NS
from penstock.traffic.gate_verdict import Finding
from penstock.traffic.judge import Judge
from penstock.traffic.plan import Gates, LimitGate, NumberGate
from penstock.traffic.share import Share
from penstock.traffic.span import GATE_OF_STATUS, ArmSpan, Pair, Span

BUCKETS = len(SPREAD_EDGES_NS) + 1


def times(**at):
    """Return durations as counts by bucket: `ms10=5` is five requests of 10 ms."""
    counts = [0] * BUCKETS
    for name, count in at.items():
        counts[sum(edge < float(name[2:]) * 1e6 for edge in SPREAD_EDGES_NS)] += count
    return tuple(counts)


def arm(ends, errors=0, refusals=0, rejections=0, spread=None):
    """Return what an arm did, all of it in 10 ms unless said otherwise."""
    return ArmSpan(ends, {"errors": errors, "refusals": refusals, "rejections": rejections}, spread or times(ms10=ends))


def judged(span, gates=None, looks=20):
    """Return a judge that has seen the same span so many times."""
    judge = Judge(gates or Gates(), SPREAD_EDGES_NS)
    for _ in range(looks):
        judge.take(span)
    return judge


def finding(judge, gate):
    """Return what one gate finds."""
    return next(verdict.finding for verdict in judge.verdicts(50) if verdict.gate == gate)


@pytest.mark.parametrize("gate", ["errors", "refusals", "rejections"])
def test_each_kind_of_bad_end_breaks_its_own_gate(gate):
    """And the reason tells both arms' numbers."""
    judge = judged(Span(arm(900), arm(100, **{gate: 10})))

    assert judge.broken(50).startswith(f"{gate}: 200 of 2000 requests of the canary (10.000%), 0 of 18000 requests of the stable arm")
    assert {v.gate for v in judge.verdicts(50) if v.finding is Finding.BROKEN} == {gate}


def test_what_is_bad_in_both_arms_breaks_nothing():
    """A canary is compared, not measured."""
    judge = judged(Span(arm(900, errors=90, refusals=90, rejections=90), arm(100, errors=10, refusals=10, rejections=10)))

    assert judge.broken(50) == ""


def test_a_slower_tail_breaks_the_latency_gate():
    """Although the middle is the same."""
    slow = Span(arm(980, spread=times(ms10=970, ms20=10)), arm(100, spread=times(ms10=95, ms40=5)))
    judge = judged(slow)

    assert judge.broken(50).startswith("latency: slower than ")
    assert finding(judge, "errors") is Finding.PASSED


def test_the_median_can_be_judged_where_the_tail_is_noise():
    """The tails are the same here, and hide that the canary is half as fast."""
    slow = Span(arm(900, spread=times(ms10=500, ms500=400)), arm(100, spread=times(ms20=55, ms500=45)))
    median = msgspec.structs.replace(Gates(), latency=msgspec.structs.replace(Gates().latency, quantile=0.5))

    assert judged(slow).broken(50) == ""
    assert "than its p50 of" in judged(slow, median).broken(50)


def test_load_that_slows_both_arms_breaks_nothing():
    """Although everything is now above the p99 that was."""
    judge = judged(Span(arm(900, spread=times(ms10=880, ms20=20)), arm(100, spread=times(ms10=98, ms20=2))))
    for _ in range(20):
        judge.take(Span(arm(900, spread=times(ms100=880, ms200=20)), arm(100, spread=times(ms100=98, ms200=2))))

    assert judge.broken(50) == ""


def test_a_p99_that_is_higher_by_less_than_the_least_difference_is_tolerated():
    """Of tiny times no multiple is worth an alarm."""
    tiny = Span(arm(980, spread=times(ms0=970, ms1=10)), arm(100, spread=times(ms0=90, ms2=10)))

    assert judged(tiny).broken(50) == ""
    strict = msgspec.structs.replace(Gates(), latency=msgspec.structs.replace(Gates().latency, least_ms=0))
    assert judged(tiny, strict).broken(50)


def test_too_few_requests_are_no_verdict():
    """Neither way."""
    judge = judged(Span(arm(99), arm(1)), looks=50)

    assert judge.missing(5) == "the canary has ended 50 of at least 100 requests in this step"
    assert judge.broken(5) == ""


def test_more_weight_needs_more_proof():
    """What may be unknown at 5 % may not at 100 %."""
    judge = judged(Span(arm(99), arm(1)), looks=150)

    assert judge.missing(5) == ""
    assert "errors: 0 of 150 requests" in judge.missing(100)


def test_a_step_asks_anew_for_requests_but_never_forgets_evidence():
    """Otherwise each step would be a new chance for a bad canary."""
    judge = judged(Span(arm(900), arm(100, errors=2)), looks=2)
    assert not judge.broken(5)
    judge.begin_step()
    assert judge.missing(5).startswith("the canary has ended 0 of")

    judge.take(Span(arm(900), arm(100, errors=2)))

    fresh = judged(Span(arm(900), arm(100, errors=2)), looks=1)
    assert judge.verdicts(5)[0].evidence > 10 * fresh.verdicts(5)[0].evidence


def test_a_span_without_the_stable_arm_waits_for_it():
    """There is nothing to compare with before."""
    judge = Judge(Gates(), SPREAD_EDGES_NS)
    judge.take(Span(ArmSpan(), arm(50, errors=50)))
    assert not judge.broken(50)

    judge.take(Span(arm(50), arm(50)))

    assert judge.verdicts(50)[0].canary.bad == 50
    assert judge.broken(50)


def test_disagreement_has_a_limit_and_holds_while_no_shadow_has_compared():
    """Who asks for the gate wants it to have been passed."""
    gates = Gates(disagreement=LimitGate(max=0.02))
    fine, bad = Span(arm(900), arm(100), Share(1, 100)), Span(arm(900), arm(100), Share(20, 100))

    assert finding(judged(Span(arm(900), arm(100)), gates), "disagreement") is Finding.OPEN
    assert finding(judged(fine, gates), "disagreement") is Finding.PASSED
    assert judged(bad, gates).broken(50).startswith("disagreement: 400 of 2000")


@pytest.mark.parametrize(
    ("gate", "over", "under"),
    [
        (NumberGate(name="m", max=5), Pair(6), Pair(4)),
        (NumberGate(name="m", ratio=2), Pair(6, 2.5), Pair(6, 4)),
        (NumberGate(name="m", difference=1), Pair(6, 4), Pair(6, 5.5)),
    ],
    ids=["max", "ratio", "difference"],
)
def test_a_number_breaks_its_gate_only_when_it_is_over_the_limit_in_a_row(gate, over, under):
    """A look without a number counts neither way."""

    def after(*pairs):
        judge = Judge(Gates(metrics=(gate,)), SPREAD_EDGES_NS)
        for pair in pairs:
            judge.take(Span(numbers={"m": pair} if pair else {}))
        return judge

    assert after(over, over, None, over).broken(50).startswith("m: 6 where ")
    assert not after(over, over, under, over, over).broken(50)
    assert finding(after(over), "m") is Finding.OPEN
    assert finding(after(under), "m") is Finding.PASSED
    assert finding(after(), "m") is Finding.OPEN


def test_a_gate_that_is_off_is_not_judged():
    """Its numbers are not even listed."""
    gates = Gates(errors=None, refusals=None, rejections=None, latency=None)

    assert judged(Span(arm(900), arm(100, errors=100)), gates).verdicts(50) == ()


def test_every_status_is_known_to_the_gates():
    """A cancelled prediction is nobody's fault."""
    assert GATE_OF_STATUS["MODEL_FAILED"] == "errors"
    assert GATE_OF_STATUS["OVERLOADED"] == GATE_OF_STATUS["DEADLINE_EXCEEDED"] == "refusals"
    assert GATE_OF_STATUS["INVALID_ARGUMENT"] == "rejections"
    assert GATE_OF_STATUS["CANCELLED"] == ""


def test_every_gate_of_a_metric_counts():
    """An absolute limit beside one that is relative to the stable arm."""
    gates = Gates(metrics=(NumberGate(name="x", max=0.5, looks=1), NumberGate(name="x", ratio=10, looks=1)))
    judge = judged(Span(arm(9), arm(1), numbers={"x": Pair(0.9, 0.3)}), gates, looks=1)

    assert [verdict.finding for verdict in judge.verdicts(50) if verdict.gate == "x"] == [Finding.BROKEN, Finding.PASSED]
    assert judge.broken(50) == "x: 0.9 where 0.5 is tolerated, over it in 1 of 1 looks in a row"


def test_stable_arm_that_is_wrong_beyond_all_numbers_leaves_a_gate_open():
    """One prediction that is NaN makes its errors infinite: nothing is over them, which says nothing of the canary."""
    gates = Gates(metrics=(NumberGate(name="rmse", ratio=1.1, looks=1),))

    def found(canary, stable):
        return finding(judged(Span(arm(9), arm(1), numbers={"rmse": Pair(canary, stable)}), gates, looks=1), "rmse")

    assert [found(1000.0, float("inf")), found(float("inf"), float("inf"))] == [Finding.OPEN, Finding.OPEN]
    assert found(float("inf"), 1.0) is Finding.BROKEN
