"""What a scrape answers with."""

import pytest

from penstock.telemetry.metrics import Metrics, ServerView, VersionView
from penstock.telemetry.statistics import VersionStatistics


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ('application/openmetrics-text; version="1.0.0"', "text/plain"),
        ("text/plain;version=latest", "text/plain"),
        ("*/*", "text/plain"),
    ],
)
def test_a_form_that_is_not_understood_is_answered_in_the_usual_one(accept: str, form: str) -> None:
    """However a scraper writes the version of it: quoted, as headers allow, or as a word."""
    page, content_type = Metrics(lambda: ServerView({("http", "m"): 1}, {}, {}), tuple).scrape(accept)

    assert content_type.startswith(form)
    assert b'penstock_received_total{model="m",protocol="http"} 1.0' in page


def test_only_a_version_that_is_ready_has_a_time_of_its_load() -> None:
    """One that could not be loaded, or is gone, has not taken 0 seconds."""
    views = [VersionView("m", "1", VersionStatistics()), VersionView("m", "2", VersionStatistics(), ready=True, load_s=1.5)]

    page, _ = Metrics(lambda: ServerView({}, {}, {}), lambda: views).scrape("")

    lines = [line for line in page.decode().splitlines() if line.startswith("penstock_model_load_seconds{")]
    assert lines == ['penstock_model_load_seconds{model="m",version="2"} 1.5']
