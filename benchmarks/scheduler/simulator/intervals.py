"""Intervals of 95 % by the bootstrap, over the seeds of runs."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_RESAMPLED: Final = 1000


class Interval(NamedTuple):
    """A mean and where it lies in 95 % of resampled seeds."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{short(self.mean)} ({short(self.low)} to {short(self.high)})"


def interval(values: Sequence[float] | npt.NDArray[np.float64]) -> Interval:
    """Return the interval of a mean over seeds; one infinite value makes all of it infinite."""
    seen = np.array(values, float)
    if not np.isfinite(seen).all():
        return Interval(np.inf, np.inf, np.inf)
    chosen = np.random.default_rng(0).integers(len(seen), size=(_RESAMPLED, len(seen)))
    low, high = np.percentile(seen[chosen].mean(axis=1), (2.5, 97.5))
    return Interval(float(seen.mean()), float(low), float(high))


def short(value: float) -> str:
    """Return a number with three digits that count."""
    if not np.isfinite(value):
        return "lost"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
