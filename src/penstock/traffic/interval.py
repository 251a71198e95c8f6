"""Intervals for shares that were counted."""

from math import sqrt
from typing import Final, NamedTuple

_Z95: Final = 1.959964
"""Standard deviations of a two-sided 95 % interval."""


class Interval(NamedTuple):
    """Where a share lies with 95 % confidence."""

    low: float
    high: float


def wilson(hits: int, trials: int) -> Interval:
    """Return the interval of a share of which `hits` of `trials` were seen; everything from 0 to 1 if nothing was tried.

    The score interval (Wilson, "Probable inference, the law of succession, and statistical inference", 1927), which holds for rare
    events too: the usual one of the normal distribution says that what was never seen never happens.
    """
    if not trials:
        return Interval(0.0, 1.0)
    share, z2 = hits / trials, _Z95**2 / trials
    middle = share + z2 / 2
    spread = _Z95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials))
    low, high = (middle - spread) / (1 + z2), (middle + spread) / (1 + z2)
    return Interval(0.0 if hits == 0 else max(0.0, low), 1.0 if hits == trials else min(1.0, high))


def difference(ours: tuple[int, int], others: tuple[int, int]) -> Interval:
    """Return the interval of how much larger our share is, each as hits and trials.

    From the score intervals of both (Newcombe, "Interval estimation for the difference between independent proportions", 1998, method 10).
    """
    (one, low, high), (two, below, above) = _with_share(*ours), _with_share(*others)
    gap = one - two
    return Interval(gap - sqrt((one - low) ** 2 + (above - two) ** 2), gap + sqrt((high - one) ** 2 + (two - below) ** 2))


def _with_share(hits: int, trials: int) -> tuple[float, float, float]:
    return (hits / trials if trials else 0.0, *wilson(hits, trials))
