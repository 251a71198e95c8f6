"""Evidence that an arm is worse than tolerated: a test that may be looked at as often as one likes.

What is tested is "in every span of time, the canary's share of bad ends is at most `ratio` times the stable arm's share of the same
span, plus `difference`". For a span with n and m ends and an alternative (a, c) chosen before it, the likelihood of (a, c) divided by
that of the tolerated pair (x, y) which is nearest to it (least n KL(a|x) + m KL(c|y), on the line y = ratio x + difference) has a mean
of at most 1 under every tolerated pair, because those pairs form a convex set: Turner, Ly and Grünwald, "Generic E-variables for exact
sequential k-sample tests that allow for optional stopping", 2024. The product over spans, and a mixture of products over
alternatives (Robbins 1970), is then a supermartingale: by Ville's inequality it ever reaches 1/alpha with a chance of at most alpha.
The shares may change with time as they like, and so may the weights.
"""

import math
from collections.abc import Callable
from typing import Final

from penstock.traffic.clumps import Clumps
from penstock.traffic.share import Share

_EXCESSES: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 0.9)
"""How much worse than tolerated the alternatives are."""
_LEAST: Final = 1e-6
_MOST: Final = 1 - 1e-3
_PRIOR: Final = 0.5, 50.0
_TURNS: Final = 60
_CLOSE: Final = 1e-9


class Evidence:
    """Weighs one kind of bad end, canary against stable, span by span."""

    def __init__(self, ratio: float, difference: float, *, sticky: bool = False) -> None:
        """`sticky` says that requests which belong together reach the same arm."""
        self._ratio = ratio
        self._difference = difference
        self._logs = [0.0] * len(_EXCESSES)
        self._stable = Share()
        self._clumps = Clumps(sticky=sticky)

    @property
    def log(self) -> float:
        """The logarithm of the evidence; 0 is none."""
        most = max(self._logs)
        return most + math.log(sum(math.exp(each - most) for each in self._logs) / len(self._logs))

    def take(self, stable: Share, canary: Share) -> None:
        """Weigh a further span: what ended in both arms during the same time."""
        guess = min(max((self._stable.bad + _PRIOR[0]) / (self._stable.of + _PRIOR[1]), _LEAST), _MOST)
        effect = self._clumps.effect(canary.of)
        for place, excess in enumerate(_EXCESSES):
            worse = min(self._tolerated(guess) + excess, _MOST)
            if worse > self._tolerated(guess):
                self._logs[place] += self._gain(guess, worse, stable, canary) / effect
        self._clumps.take(stable)
        self._stable = self._stable.plus(stable)

    def _tolerated(self, stable: float) -> float:
        return self._ratio * stable + self._difference

    def _gain(self, guess: float, worse: float, stable: Share, canary: Share) -> float:
        nearest = self._nearest(guess, worse, stable.of, canary.of)
        return _log_ratio(stable, guess, nearest) + _log_ratio(canary, worse, self._tolerated(nearest))

    def _nearest(self, guess: float, worse: float, stable: int, canary: int) -> float:
        """Return the stable share of the nearest tolerated pair: where the slope of the weighted divergence crosses zero."""
        ratio = self._ratio
        if not ratio:
            return guess

        def slope(share: float) -> float:
            tolerated = ratio * share + self._difference
            away = (share - guess) / (share * (1 - share))
            return stable * away + canary * ratio * (tolerated - worse) / (tolerated * (1 - tolerated))

        return _crossing(slope, guess, (worse - self._difference) / ratio)


def _crossing(slope: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function crosses zero, by the Illinois form of false position."""
    at_low, at_high, side = slope(low), slope(high), 0
    for _ in range(_TURNS):
        if high - low <= _CLOSE * high or at_high <= at_low:
            break
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        found = slope(middle)
        if abs(found) <= _CLOSE:
            return middle
        if found < 0:
            low, at_low, at_high, side = middle, found, at_high / 2 if side < 0 else at_high, -1
        else:
            high, at_high, at_low, side = middle, found, at_low / 2 if side > 0 else at_low, 1
    return (low * at_high - high * at_low) / (at_high - at_low) if at_high > at_low else low


def _log_ratio(share: Share, one: float, other: float) -> float:
    return share.bad * math.log(one / other) + (share.of - share.bad) * math.log((1 - one) / (1 - other))
