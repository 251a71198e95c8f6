"""What feedback says of models, as metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.telemetry.family import MODEL, Family, Samples

_QUALITY: Final = {
    "rows": "Rows that the figures of quality are made of.",
    "accuracy": "Share of the rows whose class was right.",
    "log_loss": "Mean of the negative logarithm of the true class's probability.",
    "ece": "Expected calibration error: by how much confidence and accuracy differ.",
    "mae": "Mean absolute error of predicted numbers.",
    "rmse": "Root of the mean squared error of predicted numbers.",
    "reward": "Mean reward.",
}
FEEDBACK_FAMILIES: Final = (
    Family("penstock_feedback_total", "counter", ("model", "outcome"), "Words of feedback, by what became of them."),
    Family("penstock_feedback_rows_total", "counter", (), "Words of feedback that are recorded."),
    Family("penstock_feedback_dropped_total", "counter", ("reason",), "Words of feedback that counted and could not be recorded."),
    Family("penstock_feedback_remembered", "gauge", ("model",), "Predictions, or ids of them, that wait for feedback or repetitions."),
    Family("penstock_feedback_remembered_bytes", "gauge", ("model",), "The memory that they take."),
    *(Family(f"penstock_quality_{name}", "gauge", (*MODEL, "route"), text) for name, text in _QUALITY.items()),
)


@dataclass(frozen=True, slots=True)
class RememberedView:
    """What a scrape reads of one model whose predictions are remembered."""

    model: str
    predictions: int
    size_bytes: int
    figures: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    """By version and branch of the route."""


@dataclass(frozen=True, slots=True)
class FeedbackView:
    """What a scrape reads of feedback."""

    outcomes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Words by (model, outcome)."""
    rows: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    models: Iterable[RememberedView] = ()


def feedback_samples(view: FeedbackView) -> dict[str, Samples]:
    """Return the samples of each family."""
    models = list(view.models)
    quality = {
        f"penstock_quality_{name}": [
            ([model.model, *place], figures[name]) for model in models for place, figures in model.figures.items() if name in figures
        ]
        for name in _QUALITY
    }
    return {
        "penstock_feedback_total": [(list(key), count) for key, count in view.outcomes.items()],
        "penstock_feedback_rows_total": [([], view.rows)],
        "penstock_feedback_dropped_total": [([reason], count) for reason, count in view.dropped.items()],
        "penstock_feedback_remembered": [([model.model], model.predictions) for model in models],
        "penstock_feedback_remembered_bytes": [([model.model], model.size_bytes) for model in models],
        **quality,
    }
