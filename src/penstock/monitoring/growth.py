"""Whether a process's memory grows without end, told from noise: the slope of its low-water marks, with an interval.

Memory in use goes up and down with the load, so only the least of each minute counts. The slope is the median of the slopes between all
pairs of minutes (Theil 1950, Sen 1968), and its interval follows from Kendall's statistic: the ranks
(N -+ z sqrt(n (n - 1) (2 n + 5) / 18)) / 2 of the N slopes (Gilbert, "Statistical Methods for Environmental Pollution Monitoring", 1987).
A step is no growth without end: it is in one half of the time at most, so growth has to be certain in both.
"""

import math
from collections import deque
from collections.abc import Sequence
from itertools import combinations
from typing import Final, NamedTuple

_Z: Final = 2.5758
"""Of the normal distribution, for an interval of 99 %."""
_FEWEST: Final = 20


class Slope(NamedTuple):
    """How fast memory grows, in bytes per second, and between which bounds that lies with 99 % confidence."""

    estimate: float
    low: float
    high: float


class GrowthLimits(NamedTuple):
    """What is looked at, and what counts."""

    warm_s: float = 300.0
    """What is not looked at: the first requests fill caches and heaps."""
    block_s: float = 60.0
    """Only the least of each block counts."""
    blocks: int = 60
    """How many blocks are remembered."""
    least_bytes: float = 8.0 * 1024**2
    """What memory has to have grown by over all of them, by the lower bound of the slope, to be told of."""


class Growth:
    """The memory of one process since it was warm. Pure: seconds and bytes come in."""

    def __init__(self, limits: GrowthLimits | None = None) -> None:
        self._limits = limits or GrowthLimits()
        self._marks: deque[tuple[float, float]] = deque(maxlen=self._limits.blocks)
        self._warm_at_s = math.inf
        self._block_began_s = -math.inf
        self._low = (0.0, math.inf)
        self._in_both_halves = False
        self.slope: Slope | None = None
        """None while there are too few blocks."""

    @property
    def growing(self) -> bool:
        """Whether the growth is certain, and large enough to matter."""
        if self.slope is None or not self._in_both_halves:
            return False
        return self.slope.low * self._limits.block_s * self._limits.blocks >= self._limits.least_bytes

    def restart(self) -> None:
        """Forget everything: a version has come or gone, and what is usual has changed."""
        self._marks.clear()
        self._warm_at_s = math.inf
        self._block_began_s = -math.inf
        self.slope = None

    def add(self, now_s: float, size_bytes: int) -> None:
        """Take in what the process has in memory now."""
        self._warm_at_s = min(self._warm_at_s, now_s + self._limits.warm_s)
        if now_s < self._warm_at_s:
            return
        if now_s - self._block_began_s >= self._limits.block_s:
            self._end_block()
            self._block_began_s, self._low = now_s, (now_s, math.inf)
        if size_bytes < self._low[1]:
            self._low = (now_s, size_bytes)

    def _end_block(self) -> None:
        if self._block_began_s == -math.inf:
            return
        self._marks.append(self._low)
        if len(self._marks) >= _FEWEST:
            marks = list(self._marks)
            half = (len(marks) + 1) // 2
            self.slope = _slope(marks)
            self._in_both_halves = _slope(marks[:half]).low > 0 and _slope(marks[half:]).low > 0


def _slope(marks: Sequence[tuple[float, float]]) -> Slope:
    # In plain Python: numpy's sorting, which nothing else here needs, would itself be a growth of megabytes at the first slope.
    count = len(marks)
    slopes = sorted([(later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in combinations(marks, 2)])
    middle = (slopes[(len(slopes) - 1) // 2] + slopes[len(slopes) // 2]) / 2
    spread = _Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = math.floor((len(slopes) - spread) / 2), math.ceil((len(slopes) + spread) / 2)
    return Slope(middle, slopes[max(0, low - 1)], slopes[min(len(slopes) - 1, high)])
