"""Metrics read by their name, for one version and one arm: what a scrape shows, as one number."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

from penstock.domain.route import branch_of
from penstock.telemetry.family import Family

_ENDS: Final = "penstock_requests_total"


Line = tuple[str, Mapping[str, str], float]
"""Name, labels and value of one line of a scrape."""


class Reading(NamedTuple):
    """What a metric says of one arm at one moment."""

    kind: str
    total: float
    """Of a gauge its value, else a sum that only grows."""
    of: float
    """What a difference of two sums is divided by: observations of a histogram, predictions of the arm for a counter."""

    def since(self, before: "Reading | None") -> float | None:
        """Return the gauge's value, or the mean since an earlier reading; None if nothing has come in since then."""
        if self.kind == "gauge":
            return self.total
        if before is None or self.of <= before.of:
            return None
        return (self.total - before.total) / (self.of - before.of)


class Readings:
    """Reads metrics as a scrape does; costs what a scrape costs."""

    def __init__(self, families: Iterable[Family], collect: Callable[[], Iterable[Line]]) -> None:
        self._families = {family.name: family for family in families if "version" in family.labels and family.kind != "info"}
        self._collect = collect

    @property
    def names(self) -> Collection[str]:
        """The metrics that tell versions apart."""
        return self._families.keys()

    def read(self, names: Collection[str], model: str, arms: Collection[tuple[str, str]]) -> dict[tuple[str, str, str], Reading]:
        """Return the readings by (name, version, arm), without gauges that say nothing of an arm; arms are (version, arm)."""
        sums: dict[tuple[str, str, str], float] = {}
        for name, labels, value in self._collect():
            for version, arm in arms:
                there = labels.get("model"), labels.get("version"), labels.get("route", branch_of(arm))
                if there == (model, version, branch_of(arm)):
                    sums[name, version, arm] = sums.get((name, version, arm), 0.0) + value
        read = {(name, *arm): self._reading(name, arm, sums) for name in names for arm in arms if name in self._families}
        # A sum begins at nothing; a gauge that has no line has not been measured.
        return {key: reading for key, reading in read.items() if reading.kind != "gauge" or key in sums}

    def _reading(self, name: str, arm: tuple[str, str], sums: Mapping[tuple[str, str, str], float]) -> Reading:
        def sum_of(line: str) -> float:
            return sums.get((line, *arm), 0.0)

        kind = self._families[name].kind
        if kind == "histogram":
            return Reading(kind, sum_of(f"{name}_sum"), sum_of(f"{name}_count"))
        return Reading(kind, sum_of(name), sum_of(_ENDS))
