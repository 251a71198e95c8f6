"""A figure beside its bound: met, missed, or too noisy to say."""

import random
import statistics
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_RESAMPLES: Final = 4000


class Bound(NamedTuple):
    """What was measured several times, and what it may be at most, or at least."""

    what: str
    values: Sequence[float]
    limit: float
    unit: str = ""
    at_least: bool = False
    beside: str = ""
    """What else belongs in the line."""

    @property
    def interval(self) -> tuple[float, float]:
        """Where the median lies, with 95 % confidence."""
        return interval(self.values)

    @property
    def missed(self) -> bool:
        """Whether the figure is beyond its bound by more than noise may be."""
        low, high = self.interval
        return high < self.limit if self.at_least else low > self.limit

    @property
    def met(self) -> bool:
        """Whether the median keeps the bound."""
        median = statistics.median(self.values)
        return median >= self.limit if self.at_least else median <= self.limit

    def __str__(self) -> str:
        low, high = self.interval
        verdict = "met" if self.met else "missed" if self.missed else "missed, within the noise"
        figure = f"{statistics.median(self.values):.3f} ({low:.3f} to {high:.3f}){self.unit}"
        wanted = f"{'>=' if self.at_least else '<='} {self.limit:g}{self.unit}"
        return f"{self.what}: {figure}, wanted {wanted}: {verdict}{self.beside and f'; {self.beside}'}"


def judge(bounds: Iterable[Bound]) -> int:
    """Print each bound with its verdict; returns the exit code, 1 if one is missed beyond the noise."""
    missed = False
    for bound in bounds:
        print(bound, flush=True)
        missed |= bound.missed
    return int(missed)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median."""
    source = random.Random(0)
    medians = sorted(statistics.median(source.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return medians[_RESAMPLES // 40], medians[-_RESAMPLES // 40]
