"""The numbers that a plan names, canary beside stable, over the time since the last look at them."""

from collections.abc import Collection

from penstock.telemetry.readings import Reading, Readings
from penstock.traffic.span import Pair


class MetricPairs:
    """Takes differences of metrics. Lives on the event loop."""

    def __init__(self, readings: Readings, names: Collection[str]) -> None:
        self._readings = readings
        self._names = names
        self._before: dict[tuple[str, str, str], Reading] = {}

    def since(self, model: str, canary: tuple[str, str], stable: tuple[str, str]) -> dict[str, Pair]:
        """Return what there is of both arms, each a version and the arm's name; the first call has only gauges."""
        if not self._names:
            return {}
        now = self._readings.read(self._names, model, (canary, stable))
        found = {key: value for key, reading in now.items() if (value := reading.since(self._before.get(key))) is not None}
        self._before = now
        return {name: Pair(found[name, *canary], found.get((name, *stable))) for name in self._names if (name, *canary) in found}
