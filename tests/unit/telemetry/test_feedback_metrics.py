"""Quality as metrics: one series for each version and branch, which a rollout can compare."""

from collections import Counter

from penstock.telemetry.feedback import FeedbackView, RememberedView
from penstock.telemetry.metrics import Metrics, ServerView

FIGURES = {
    ("1", "stable"): {"rows": 100, "accuracy": 0.9, "log_loss": 0.3},
    ("2", "canary"): {"rows": 20, "accuracy": 0.8, "log_loss": 0.5, "mae": float("inf")},
}
VIEW = FeedbackView(Counter({("m", "joined"): 120, ("m", "unknown"): 3}), 123, {"io": 1}, [RememberedView("m", 7, 4900, FIGURES)])


def metrics() -> Metrics:
    """Metrics of one model whose predictions are judged."""
    return Metrics(lambda: ServerView({}, {}, {}), tuple, feedback=lambda: VIEW)


def test_a_scrape_shows_what_there_is_and_nothing_else() -> None:
    """A figure that nobody has, such as a reward, makes no series."""
    page = metrics().scrape("")[0].decode()

    for line in (
        'penstock_quality_accuracy{model="m",route="canary",version="2"} 0.8',
        'penstock_quality_mae{model="m",route="canary",version="2"} +Inf',
        'penstock_quality_rows{model="m",route="stable",version="1"} 100.0',
        'penstock_feedback_total{model="m",outcome="unknown"} 3.0',
        "penstock_feedback_rows_total 123.0",
        'penstock_feedback_dropped_total{reason="io"} 1.0',
        'penstock_feedback_remembered{model="m"} 7.0',
        'penstock_feedback_remembered_bytes{model="m"} 4900.0',
    ):
        assert line in page
    assert "penstock_quality_reward{" not in page


def test_a_rollout_can_compare_the_quality_of_its_arms() -> None:
    """By the names that metrics have: a gate on log loss breaks where the canary's is too high."""
    readings = metrics().readings

    assert "penstock_quality_log_loss" in readings.names
    found = readings.read(["penstock_quality_log_loss"], "m", [("1", "stable"), ("2", "b")])
    assert [found["penstock_quality_log_loss", *arm].total for arm in (("1", "stable"), ("2", "b"))] == [0.3, 0.5]
