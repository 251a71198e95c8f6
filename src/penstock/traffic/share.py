"""So many of so many, and what that says of the share behind it."""

import math
from typing import Final, NamedTuple

_HALF: Final = 0.5
_TURNS: Final = 40


class Share(NamedTuple):
    """How many of the requests of one arm were bad."""

    bad: int = 0
    of: int = 0

    def plus(self, more: "Share") -> "Share":
        """Return both together."""
        return Share(self.bad + more.bad, self.of + more.of)

    @property
    def value(self) -> float:
        """The share; 0 of nothing."""
        return self.bad / self.of if self.of else 0.0


class Interval(NamedTuple):
    """Where a share lies."""

    low: float
    high: float


def interval(share: Share, miss: float) -> Interval:
    """Return bounds that hold at all looks together, however many, but for the chance `miss`, where the share is steady.

    All values p are inside for which a mixture of likelihoods over Beta(1/2, 1/2) is less than 1/miss times the likelihood of p: by
    Ville's inequality the true one leaves this set with no more than that chance, ever. Robbins, "Statistical methods related to the
    law of the iterated logarithm", 1970; Lai, "On confidence sequences", 1976.
    """
    if not share.of:
        return Interval(0.0, 1.0)
    bound = _log_mixture(share) + math.log(miss)
    low = _edge(share, bound, 0.0) if share.bad else 0.0
    high = _edge(share, bound, 1.0) if share.bad < share.of else 1.0
    return Interval(low, high)


def _edge(share: Share, bound: float, outside: float) -> float:
    """Return, by halving, where the likelihood between the share and a value outside crosses the bound."""
    inside = share.value
    for _ in range(_TURNS):
        middle = (inside + outside) / 2
        if _log_likelihood(share, middle) >= bound:
            inside = middle
        else:
            outside = middle
    return outside


def _log_likelihood(share: Share, value: float) -> float:
    good = share.of - share.bad
    return (share.bad * math.log(value) if share.bad else 0.0) + (good * math.log1p(-value) if good else 0.0)


def _log_mixture(share: Share) -> float:
    return _log_beta(share.bad + _HALF, share.of - share.bad + _HALF) - _log_beta(_HALF, _HALF)


def _log_beta(one: float, other: float) -> float:
    return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)
