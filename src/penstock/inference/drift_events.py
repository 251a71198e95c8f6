"""What the judged windows of a version have shown, in words: as events of its model, and in the log."""

import logging
from collections.abc import Sequence
from typing import Final

from penstock.domain.model import ModelVersion
from penstock.domain.names import shown
from penstock.lifecycle.catalog import ServedModel
from penstock.monitoring.drift import FeatureDrift
from penstock.monitoring.drift_watch import Crossing
from penstock.monitoring.version_watch import Told, VersionWatch

_log = logging.getLogger(__name__)
_MOST_NAMED: Final = 5
"""Features that an event names; a model keeps few events, so all of a window are one."""


def tell(model: ServedModel, identity: ModelVersion, watch: VersionWatch, told: Sequence[Told]) -> None:
    """Add an event where features have begun to drift, or stopped, in the windows that have ended together; the log has the same line."""
    for (side, arm), crossings in _together(told).items():
        windows = watch.sides[side].arms[arm]
        began = {crossing.feature: crossing.shown for crossing in crossings if crossing.after}
        ended = dict.fromkeys(crossing.feature for crossing in crossings if not crossing.after)
        why = "; ".join(filter(None, [_figures(list(began.values())), _back(list(ended))]))
        now = _named(list(windows.drifting))
        first = {crossing.feature: crossing for crossing in reversed(crossings)}
        before = len(windows.drifting.keys() - first.keys()) + sum(bool(crossing.before) for crossing in first.values())
        model.events.add("server", f"drift of version {identity.version}, {arm}, {side}", _count(before), now, why)
        level = logging.WARNING if began else logging.INFO
        _log.log(level, "%s, %s, %s: %s: %s", identity, arm, side, now, why)


def _together(told: Sequence[Told]) -> dict[tuple[str, str], list[Crossing]]:
    """Return the crossings by side and arm, in their order: what is drifting by now holds for all of them."""
    crossings: dict[tuple[str, str], list[Crossing]] = {}
    for each in told:
        crossings.setdefault((each.side, each.arm), []).extend(each.crossings)
    return crossings


def _count(features: int) -> str:
    return f"{features} drift" if features else "none drifts"


def _named(features: Sequence[str]) -> str:
    return f"{_count(len(features))}: {_listed(features)}" if features else _count(0)


def _listed(features: Sequence[str]) -> str:
    more = len(features) - _MOST_NAMED
    return ", ".join(map(shown, features[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _back(features: Sequence[str]) -> str:
    return f"as in the reference again: {_listed(features)}" if features else ""


def _figures(began: Sequence[FeatureDrift]) -> str:
    """Return of each feature the measure that is furthest above its threshold."""
    return ", ".join(map(_worst, began[:_MOST_NAMED]))


def _worst(feature: FeatureDrift) -> str:
    measure = max(feature.crossed, key=lambda crossed: feature.figures[crossed] / feature.thresholds[crossed])
    return f"{shown(feature.name)} has {measure} {feature.figures[measure]:.3g}, above {feature.thresholds[measure]:.3g}"
