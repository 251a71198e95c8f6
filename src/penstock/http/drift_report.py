"""The section `drift` of what is told about a model."""

from typing import Final

from penstock.inference.drift import Drift, Watched
from penstock.lifecycle.catalog import ServedModel
from penstock.monitoring.drift import FeatureDrift
from penstock.monitoring.drift_watch import DriftWatch
from penstock.monitoring.side_watch import SideWatch

Told = dict[str, object]
_UNKNOWN: Final = "the reference says nothing of it: its sample had no such column, or none that tells anything"


def drift_of(drift: Drift, model: ServedModel) -> Told:
    """Return how each ready version of a model drifts, by its number: inputs and outputs, and each by arm."""
    there = [watched for watched in drift if watched.version.identity.name == model.name]
    return {"versions": {watched.version.identity.version: _version(watched) for watched in there}}


def _version(watched: Watched) -> Told:
    readiness, watch = watched.version.readiness, watched.watch
    options = readiness.options.monitoring
    return {
        "mode": options.drift,
        "problem": readiness.references.problem,
        "window": {"rows": options.window_rows, "seconds": options.window_s},
        "dropped": watch.dropped,
        "unwatched": {**watch.unwatched, **dict.fromkeys([name for side in watch.sides.values() for name in side.unknown], _UNKNOWN)},
        **{name: _side(side) for name, side in watch.sides.items()},
    }


def _side(side: SideWatch) -> Told:
    arms = {arm: _arm(windows) for arm, windows in sorted(side.arms.items())}
    return {"watched": side.is_on, "reference": _reference(side), "arms": arms}


def _reference(side: SideWatch) -> Told | None:
    if (sample := side.sample) is not None:
        return {"origin": "live", "rows": sample.rows, "wanted_rows": sample.wanted, "features": 0}
    if side.reference is None:
        return None
    rows = max(feature.rows + feature.missing for feature in side.reference.features)
    return {"origin": "published" if side.is_published else "live", "rows": rows, "features": len(side.reference.features)}


def _arm(windows: DriftWatch) -> Told:
    return {
        "windows": windows.windows,
        "rows": windows.rows,
        "window_rows": windows.window_rows,
        "drifting": {name: list(measures) for name, measures in windows.drifting.items()},
        "features": [_feature(feature) for feature in windows.latest],
    }


def _feature(feature: FeatureDrift) -> Told:
    """Return figures and thresholds; a threshold that nothing could reach is null."""
    thresholds = {measure: limit if limit < float("inf") else None for measure, limit in feature.thresholds.items()}
    return {"feature": feature.name, "drifts": bool(feature.crossed), "figures": feature.figures, "thresholds": thresholds}
