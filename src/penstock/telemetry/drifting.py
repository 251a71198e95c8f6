"""How far features have drifted, as metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.telemetry.family import MODEL, Family, Samples

_ARM: Final = (*MODEL, "route")
_MEASURES: Final = {
    "psi": "Population stability index of a feature in its last window.",
    "js": "Jensen-Shannon distance of a feature in its last window, 0 to 1.",
    "ks": "Kolmogorov-Smirnov distance of a feature in its last window, 0 to 1.",
    "missing": "Difference of the share of missing values of a feature in its last window from the reference.",
    "out_of_range": "Share of values of a feature in its last window that lie outside of the reference.",
}
DRIFT_FAMILIES: Final = (
    *(Family(f"penstock_drift_{measure}", "gauge", (*_ARM, "feature"), help_) for measure, help_ in _MEASURES.items()),
    Family("penstock_drift_features", "gauge", (*_ARM, "side"), "Features that are watched."),
    Family("penstock_drift_features_drifting", "gauge", (*_ARM, "side"), "Features that drift, by their last window."),
    Family("penstock_drift_windows_total", "counter", (*_ARM, "side"), "Windows that were judged."),
    Family("penstock_drift_rows_total", "counter", (*_ARM, "side"), "Rows that were counted."),
    Family("penstock_drift_dropped_total", "counter", MODEL, "Answered predictions that were not looked at, as too many waited."),
)


@dataclass(frozen=True, slots=True)
class SideView:
    """What a scrape reads of the inputs or the outputs of one version and arm."""

    side: str
    route: str
    features: int
    drifting: int
    windows: int
    rows: int
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By feature and measure; of so many features as are to be exported."""


@dataclass(frozen=True, slots=True)
class DriftView:
    """What a scrape reads of one version that is watched."""

    model: str
    version: str
    dropped: int
    sides: tuple[SideView, ...]


def drift_samples(views: Iterable[DriftView]) -> dict[str, Samples]:
    """Return the samples of each family."""
    samples: dict[str, list[tuple[list[str], float]]] = {family.name: [] for family in DRIFT_FAMILIES}
    for view in views:
        samples["penstock_drift_dropped_total"].append(([view.model, view.version], view.dropped))
        for side in view.sides:
            _add(samples, [view.model, view.version, side.route], side)
    return dict(samples)


def _add(samples: dict[str, list[tuple[list[str], float]]], arm: list[str], side: SideView) -> None:
    counted = {"features": side.features, "features_drifting": side.drifting, "windows_total": side.windows, "rows_total": side.rows}
    for name, count in counted.items():
        samples[f"penstock_drift_{name}"].append(([*arm, side.side], count))
    for feature, figures in side.figures.items():
        for measure in _MEASURES:
            samples[f"penstock_drift_{measure}"].append(([*arm, feature], figures[measure]))
