"""What recorded rows say of all predictions, those that were not recorded too."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from penstock.payloads.row import Row

_OK = "OK"


class Group(NamedTuple):
    """Whose predictions are counted together."""

    model: str
    version: str
    route: str


@dataclass(slots=True)
class Summary:
    """Rows of one group, and estimates of what they stand for.

    A row that is recorded with the probability p stands for 1/p predictions: sums weighted so are right on average, whatever the rules of
    sampling were (Horvitz and Thompson, "A Generalization of Sampling Without Replacement From a Finite Universe", JASA 47, 1952).
    """

    rows: int = 0
    predictions: float = 0.0
    """How many predictions the rows stand for."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Predictions by status, likewise."""
    first: str = ""
    last: str = ""
    _times: list[tuple[float, float]] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Count a row."""
        weight = 1 / float(row["sampling_fraction"])
        self.rows += 1
        self.predictions += weight
        self.statuses[row["status"]] += weight  # type: ignore[assignment]
        self.first = min(self.first or row["timestamp"], row["timestamp"])
        self.last = max(self.last, row["timestamp"])
        self._times.append((float(row["total_us"]), weight))

    @property
    def error_rate(self) -> float:
        """The part of the predictions that did not end with an answer; NaN without rows."""
        return 1 - self.statuses[_OK] / self.predictions if self.predictions else math.nan

    def total_us(self, quantile: float) -> float:
        """Return a quantile of the time that predictions took, in microseconds; NaN without rows."""
        due, seen = quantile * self.predictions, 0.0
        times = sorted(self._times)
        for time_us, weight in times:
            seen += weight
            if seen >= due:
                return time_us
        return times[-1][0] if times else math.nan

    def document(self) -> dict[str, Any]:
        """Return the figures, for JSON."""
        return {
            "rows": self.rows,
            "predictions": self.predictions,
            "error_rate": self.error_rate,
            "p50_us": self.total_us(0.5),
            "p99_us": self.total_us(0.99),
            "first": self.first,
            "last": self.last,
            "statuses": dict(self.statuses),
        }


def summaries(rows: Iterable[Row]) -> dict[Group, Summary]:
    """Return a summary of each model, version and arm."""
    found: dict[Group, Summary] = {}
    for row in rows:
        found.setdefault(Group(row["model"], row["version"], row["route"]), Summary()).add(row)
    return dict(sorted(found.items()))
