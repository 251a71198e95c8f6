"""The metrics of the queues, as a scrape shows them."""

from prometheus_client.parser import text_string_to_metric_families

from penstock.telemetry.metrics import Metrics, ServerView, VersionView
from penstock.telemetry.scheduling import SCHEDULING_FAMILIES, SchedulingView, Speed
from penstock.telemetry.statistics import Histogram, VersionStatistics

LABELS = {"model": "m", "version": "1"}
CPU = LABELS | {"device": "cpu"}


def errors(*percent: int) -> Histogram:
    """Return the histogram of prediction errors."""
    histogram = Histogram((10, 50))
    for value in percent:
        histogram.add(value)
    return histogram


VIEW = SchedulingView(
    batches={("idle", "ok"): 7, ("full", "failed"): 2},
    error_percent=errors(5, 20, 80),
    run_size=40,
    padding=3,
    refusals={"time": 4},
    expired={"hopeless": 5},
    rows_waiting=6,
    bytes_waiting=600,
    overloaded=True,
    broken_lanes=1,
    lanes={"cpu": 2, "cuda:0": 2},
    speeds=[Speed("cpu", alpha_s=0.001, beta_s=0.0002, batchability=0.8, knee=16, full=8, spread=1.2, drifts=3)],
)


def scraped(scheduling: SchedulingView | None) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the samples of a server of one version by name and labels."""
    view = VersionView("m", "1", VersionStatistics(), scheduling=scheduling)
    text, _ = Metrics(lambda: ServerView({}, {}, {}), lambda: [view]).scrape("")
    families = text_string_to_metric_families(text.decode())
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def test_every_figure_stands_under_its_labels() -> None:
    """Counters by their key, gauges by device; errors as parts of one."""
    expected = [
        ("penstock_batches_total", LABELS | {"reason": "idle", "result": "ok"}, 7),
        ("penstock_batches_total", LABELS | {"reason": "full", "result": "failed"}, 2),
        ("penstock_run_size_total", LABELS, 40),
        ("penstock_padding_total", LABELS, 3),
        ("penstock_run_error_ratio_bucket", LABELS | {"le": "0.1"}, 1),
        ("penstock_run_error_ratio_bucket", LABELS | {"le": "0.5"}, 2),
        ("penstock_run_error_ratio_count", LABELS, 3),
        ("penstock_run_error_ratio_sum", LABELS, 1.05),
        ("penstock_refusals_total", LABELS | {"shortage": "time"}, 4),
        ("penstock_expired_total", LABELS | {"cause": "hopeless"}, 5),
        ("penstock_rows_waiting", LABELS, 6),
        ("penstock_bytes_waiting", LABELS, 600),
        ("penstock_overloaded", LABELS, 1),
        ("penstock_lanes_broken", LABELS, 1),
        ("penstock_lanes", CPU, 2),
        ("penstock_lanes", LABELS | {"device": "cuda:0"}, 2),
        ("penstock_run_alpha_seconds", CPU, 0.001),
        ("penstock_run_beta_seconds", CPU, 0.0002),
        ("penstock_batchability_ratio", CPU, 0.8),
        ("penstock_knee_size", CPU, 16),
        ("penstock_full_size", CPU, 8),
        ("penstock_run_spread_ratio", CPU, 1.2),
        ("penstock_speed_changes_total", CPU, 3),
    ]
    samples = scraped(VIEW)

    assert {name for name, _, _ in expected} >= {f.name for f in SCHEDULING_FAMILIES if f.kind != "histogram"}
    for name, labels, value in expected:
        assert samples[name, frozenset(labels.items())] == value, name


def test_version_without_a_queue_has_none_of_them() -> None:
    """A version that is not loaded has no speed and no backlog, rather than ones of zero."""
    names = {name for name, _ in scraped(None)}

    assert not [family.name for family in SCHEDULING_FAMILIES if family.name in names]
    assert "penstock_requests_waiting" in names
