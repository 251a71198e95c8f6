"""Metrics read by their name, as a scrape shows them."""

from penstock.domain.request import InferenceRequest
from penstock.domain.ticket import Ticket
from penstock.lifecycle.metric_pairs import MetricPairs
from penstock.telemetry.family import Family
from penstock.telemetry.metrics import Metrics, ServerView, VersionView
from penstock.telemetry.readings import Reading, Readings
from penstock.telemetry.statistics import VersionStatistics
from penstock.traffic.span import Pair

DURATION = "penstock_request_duration_seconds"
CANARY, STABLE = ("2", "b"), ("1", "stable")


def ended(statistics: VersionStatistics, arm: str, *times_ms: int, status: str = "INTERNAL") -> None:
    """Let predictions end after so many milliseconds."""
    for time_ms in times_ms:
        ticket = Ticket(InferenceRequest("http", "m", "", []), None, lambda _: None, lambda: 0)  # type: ignore[arg-type]
        ticket.arm, ticket.timeline.total_ns = arm, time_ms * 1_000_000
        statistics.failed(ticket, status)


def readings(**waiting: int) -> tuple[Readings, VersionStatistics, VersionStatistics]:
    """Return what reads the metrics of two versions, and their statistics."""
    stable, canary = VersionStatistics(), VersionStatistics()

    def versions() -> list[VersionView]:
        return [
            VersionView("m", "1", stable, waiting=waiting.get("stable", 0)),
            VersionView("m", "2", canary, waiting=waiting.get("canary", 0)),
        ]

    return Metrics(lambda: ServerView({}, {}, {}), versions).readings, stable, canary


def test_histogram_is_read_as_the_mean_of_the_time_between() -> None:
    """Of each arm alone: what the version did in another arm does not count."""
    read, stable, canary = readings()
    pairs = MetricPairs(read, (DURATION,))
    ended(canary, "b", 4000)
    assert pairs.since("m", CANARY, STABLE) == {}

    ended(stable, "stable", 10, 30)
    ended(canary, "b", 4000)
    ended(canary, "pinned", 9000)

    assert pairs.since("m", CANARY, STABLE) == {DURATION: Pair(4.0, 0.02)}
    assert pairs.since("m", CANARY, STABLE) == {}


def test_counter_is_read_as_its_growth_for_each_prediction() -> None:
    """All statuses together, which is one for each."""
    read, stable, canary = readings()
    pairs = MetricPairs(read, ("penstock_requests_total",))
    pairs.since("m", CANARY, STABLE)
    ended(stable, "stable", 1, 1, status="OK")
    ended(canary, "b", 1, 1)

    assert pairs.since("m", CANARY, STABLE) == {"penstock_requests_total": Pair(1.0, 1.0)}


def test_gauge_is_read_as_it_is() -> None:
    """At once."""
    read, *_ = readings(stable=2, canary=7)

    assert MetricPairs(read, ("penstock_requests_waiting",)).since("m", CANARY, STABLE) == {"penstock_requests_waiting": Pair(7.0, 2.0)}


def test_number_of_the_canary_alone_is_a_pair_without_reference() -> None:
    """A gate with `max` needs no more."""
    read, _, canary = readings()
    pairs = MetricPairs(read, (DURATION,))
    pairs.since("m", CANARY, STABLE)
    ended(canary, "b", 40)

    assert pairs.since("m", CANARY, STABLE) == {DURATION: Pair(0.04, None)}


def test_only_metrics_that_tell_versions_apart_have_names() -> None:
    """Others cannot compare arms."""
    names = readings()[0].names

    assert DURATION in names
    assert "penstock_received_total" not in names
    assert "penstock_model_info" not in names


def test_reading_that_has_not_moved_says_nothing() -> None:
    """No division by nothing."""
    assert Reading("counter", 5, 3).since(Reading("counter", 5, 3)) is None
    assert Reading("counter", 5, 3).since(None) is None


def test_gauge_without_a_line_has_not_been_measured() -> None:
    """It is not 0: a canary without feedback would pass a gate on its loss, and a stable arm without would fail every canary."""
    family = Family("loss", "gauge", ("model", "version"), "")
    lines = {"1": [("loss", {"model": "m", "version": "1"}, 0.3)], "2": [("loss", {"model": "m", "version": "2"}, 0.4)]}

    def since(*versions: str) -> dict[str, Pair]:
        read = Readings([family], lambda: [line for version in versions for line in lines[version]])
        return MetricPairs(read, ("loss",)).since("m", CANARY, STABLE)

    assert since("1") == {}
    assert since("2") == {"loss": Pair(0.4, None)}
    assert since("1", "2") == {"loss": Pair(0.4, 0.3)}
