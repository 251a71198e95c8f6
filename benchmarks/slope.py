"""The slope of a figure that is read again and again, with an interval that holds although each reading resembles the one before."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

BLOCKS: Final = 16
"""Readings are averaged in so many blocks, which are long enough to know little of each other."""
_T: Final = 2.145
"""Of Student's distribution with 14 degrees of freedom, for an interval of 95 %."""


class Slope(NamedTuple):
    """How much a figure rises in an hour: estimate, and the bounds between which that lies with 95 % confidence."""

    estimate: float
    low: float
    high: float
    rise: float
    """The estimate over the time that was looked at."""

    @classmethod
    def of(cls, times_s: Sequence[float], values: Sequence[float]) -> "Slope":
        """Return the slope by least squares over the means of blocks."""
        blocks = zip(np.array_split(np.asarray(times_s), BLOCKS), np.array_split(np.asarray(values, float), BLOCKS), strict=True)
        points = np.array([(each.mean(), value.mean()) for each, value in blocks])
        hours, means = (points[:, 0] - points[:, 0].mean()) / 3600, points[:, 1] - points[:, 1].mean()
        spread = float(hours @ hours)
        estimate = float(hours @ means) / spread
        error = math.sqrt(float(np.sum((means - estimate * hours) ** 2)) / (BLOCKS - 2) / spread)
        rise = estimate * (times_s[-1] - times_s[0]) / 3600
        return cls(estimate, estimate - _T * error, estimate + _T * error, rise)

    def __str__(self) -> str:
        covers = "covers 0" if self.low <= 0 <= self.high else "does not cover 0"
        return f"slope {self.estimate:+10.2f}/h [{self.low:+.2f}, {self.high:+.2f}] {covers}, rise {self.rise:+.2f}"

    def is_leak(self, least_rise: float) -> bool:
        """Tell whether the figure rises for certain, and by enough to matter over the time that was looked at."""
        return self.low > 0 and self.rise >= least_rise
