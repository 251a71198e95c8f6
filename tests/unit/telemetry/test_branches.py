"""The label `route` of the metrics."""

from penstock.domain.request import InferenceRequest
from penstock.domain.ticket import Ticket
from penstock.telemetry.metrics import Metrics, ServerView, VersionView
from penstock.telemetry.statistics import VersionStatistics


def ended(arm: str, total_ns: int) -> Ticket:
    """Return a prediction of an arm that has taken so long."""
    ticket = Ticket(InferenceRequest("http", "m", "", []), None, lambda _: None, lambda: 0)  # type: ignore[arg-type]
    ticket.arm, ticket.timeline.total_ns = arm, total_ns
    return ticket


def test_arms_of_one_branch_are_one_series() -> None:
    """Two canaries may be one version, and a version may be stable and pinned."""
    statistics = VersionStatistics()
    statistics.answered([ended("b", 1_500_000), ended("c", 1_500_000), ended("c", 4_000_000), ended("stable", 1), ended("pinned", 1)])
    statistics.failed(ended("c", 1), "INTERNAL")
    statistics.count()

    page, _ = Metrics(lambda: ServerView({}, {}, {}), lambda: [VersionView("m", "2", statistics)]).scrape("")

    lines = page.decode().splitlines()
    assert 'penstock_requests_total{model="m",protocol="http",route="canary",status="OK",version="2"} 3.0' in lines
    assert 'penstock_requests_total{model="m",protocol="http",route="canary",status="INTERNAL",version="2"} 1.0' in lines
    assert 'penstock_requests_total{model="m",protocol="http",route="stable",status="OK",version="2"} 2.0' in lines
    assert 'penstock_request_duration_seconds_bucket{le="0.002",model="m",route="canary",version="2"} 3.0' in lines
    assert 'penstock_request_duration_seconds_count{model="m",route="canary",version="2"} 4.0' in lines
    assert 'route="pinned"' not in page.decode()
