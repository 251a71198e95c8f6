"""The arms of a route, as `/admin/models` tells of them."""

from collections.abc import Iterator
from typing import Final

import msgspec

from penstock.domain.route import STABLE, Route
from penstock.lifecycle.catalog import ServedModel
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.statistics import DURATION_BUCKETS_S, Histogram
from penstock.traffic.span import GATE_OF_STATUS

_FAULTS: Final = frozenset({"errors", "refusals"})
"""The gates that look at what is no caller's mistake."""
_WHOLE: Final = 100.0


class ArmReport(msgspec.Struct, kw_only=True):
    """What one arm has answered since its version was loaded."""

    name: str
    version: str
    """The number or alias that the route names."""
    number: str
    """The version that this is now, "" for an alias that there is not."""
    weight: float
    """Percent of all unpinned traffic."""
    ready: bool
    """While it is not, the stable version answers in its place."""
    requests: int
    """Predictions at their end, whatever the end."""
    errors: int
    """Those of them that the server refused, let expire or failed: no mistakes of callers, nobody who left."""
    durations: list[int]
    """Predictions by the time that they took, one count for each bound of `duration_bounds_s` and one for what was longer."""


DURATION_BOUNDS_S: Final = list(DURATION_BUCKETS_S)


def arms_of(model: ServedModel, route: Route) -> list[ArmReport]:
    """Return the arms of a route, the stable one first, the others as the route lists them."""
    stable = _WHOLE - sum(canary.weight for canary in route.canaries)
    named = [(STABLE, route.stable, round(stable, 2)), *((each.name, each.version, each.weight) for each in route.canaries)]
    return [_arm(model, name, version, weight) for name, version, weight in named]


def _arm(model: ServedModel, name: str, reference: str, weight: float) -> ArmReport:
    number, version = model.number(reference), model.ready(reference)
    counts = dict(_counts(version, name)) if version is not None else {}
    return ArmReport(
        name=name,
        version=reference,
        number="" if number is None else str(number),
        weight=weight,
        ready=version is not None,
        requests=sum(counts.values()),
        errors=sum(count for status, count in counts.items() if GATE_OF_STATUS.get(status) in _FAULTS),
        durations=list(_durations(version, name).counts),
    )


def _counts(version: ServedVersion, arm: str) -> Iterator[tuple[str, int]]:
    """Yield the predictions of an arm by their status."""
    statistics, sums = version.statistics, dict[str, int]()
    statistics.count()
    for (counted, _, status), count in statistics.requests.items():
        if counted == arm:
            sums[status] = sums.get(status, 0) + count
    yield from sums.items()


def _durations(version: ServedVersion | None, arm: str) -> Histogram:
    found = None if version is None else version.statistics.durations.get(arm)
    return Histogram() if found is None else found[0]
