"""Thresholds: what they say, and whether they are kept."""

import pytest
from rounds import round_with

from penstock.bench.messages import FailureCount
from penstock.bench.result import figures_of
from penstock.bench.thresholds import threshold

ROUND = round_with(server_cpu_s=0.05, failed=1, due=102, failures=(FailureCount("HTTP 500", 1, ""),))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("p(99)<100ms", True),
        ("p(99)<98", False),
        ("p(99.9) <= 0.2s", True),
        ("p(50)<50000us", False),
        ("avg<51ms", True),
        ("max>=100ms", True),
        ("min>2ms", False),
        ("error_rate<0.001", False),
        ("error_rate<0.01", True),
        ("rate>=0.98", True),
        ("rate==1", False),
        ("rps>=100", True),
        ("rps!=100", False),
        ("cpu_us<501us", True),
        ("cpu_us<1e2", False),
    ],
)
def test_threshold_is_judged(text: str, kept: bool) -> None:
    """Each figure, comparison and unit means what the guide says."""
    assert threshold(text).judge(ROUND).kept is kept, figures_of(ROUND)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p99<20ms",
        "p<20ms",
        "p(99)~20ms",
        "p(101)<1ms",
        "p(1.2.3)<1",
        "latency<1ms",
        "rps>100ms",
        "p(99)<20min",
        "error_rate<1%",
        "p(99)<",
    ],
)
def test_bad_threshold_is_named(text: str) -> None:
    """What makes no sense is refused, in its own words."""
    with pytest.raises(ValueError) as error:
        threshold(text)

    assert repr(text) in str(error.value)


def test_figure_that_was_not_measured_is_not_kept() -> None:
    """CPU time that nobody counted is no proof of thrift."""
    verdict = threshold("cpu_us<1000").judge(round_with())

    assert (verdict.measured, verdict.kept) == (None, False)


@pytest.mark.parametrize("text", ["p(99)<20ms", "avg<20ms", "max<1s", "min<1"])
def test_latency_of_no_answer_is_not_kept(text: str) -> None:
    """A server that refuses everything, for a wrong payload or a missing key, does so quickly."""
    verdict = threshold(text).judge(round_with(latencies={}, failed=100))

    assert (verdict.measured, verdict.kept) == (None, False)
