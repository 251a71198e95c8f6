"""What the judged windows of a version have shown, in words: as events of its model, and in the log."""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from penstock.domain.model import ModelVersion
from penstock.domain.names import shown
from penstock.lifecycle.catalog import ServedModel
from penstock.monitoring.drift import FeatureDrift
from penstock.monitoring.version_watch import Told, VersionWatch

_log = logging.getLogger(__name__)
_MOST_NAMED: Final = 5
"""Features that an event names; a model keeps few events, so all of a window are one."""


def tell(model: ServedModel, identity: ModelVersion, watch: VersionWatch, told: Sequence[Told]) -> None:
    """Add an event for each window in which a feature has begun to drift, or stopped; the log has the same line."""
    for side, arm, crossings in told:
        windows = watch.sides[side].arms[arm]
        began = {crossing.feature: crossing.after for crossing in crossings if crossing.after}
        ended = [crossing.feature for crossing in crossings if not crossing.after]
        why = "; ".join(filter(None, [_figures(began, windows.latest), _back(ended)]))
        now = _named(list(windows.drifting))
        before = len(windows.drifting) - len(began) + len(ended)
        model.events.add("server", f"drift of version {identity.version}, {arm}, {side}", _count(before), now, why)
        level = logging.WARNING if began else logging.INFO
        _log.log(level, "%s, %s, %s: %s: %s", identity, arm, side, now, why)


def _count(features: int) -> str:
    return f"{features} drift" if features else "none drifts"


def _named(features: Sequence[str]) -> str:
    return f"{_count(len(features))}: {_listed(features)}" if features else _count(0)


def _listed(features: Sequence[str]) -> str:
    more = len(features) - _MOST_NAMED
    return ", ".join(map(shown, features[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _back(features: Sequence[str]) -> str:
    return f"as in the reference again: {_listed(features)}" if features else ""


def _figures(began: Mapping[str, tuple[str, ...]], latest: Sequence[FeatureDrift]) -> str:
    """Return of each feature the measure that is furthest above its threshold."""
    found = [feature for feature in latest if feature.name in began][:_MOST_NAMED]
    return ", ".join(map(_worst, found))


def _worst(feature: FeatureDrift) -> str:
    measure = max(feature.crossed, key=lambda crossed: feature.figures[crossed] / feature.thresholds[crossed])
    return f"{shown(feature.name)} has {measure} {feature.figures[measure]:.3g}, above {feature.thresholds[measure]:.3g}"
