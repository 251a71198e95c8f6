"""Counts of magnitudes by fixed bins: quantiles of any number of values in a few kilobytes."""

from typing import Final

import numpy as np

from penstock.domain.tensor import Array

_PER_DOUBLING: Final = 4
_DOUBLINGS: Final = 48
_MOST: Final = _PER_DOUBLING * _DOUBLINGS
_INFINITE: Final = 2 * _MOST + 2


class Bins:
    """How many values of 0 or more lie where: four bins for each doubling, from 2**-48 to 2**48, so a quantile is at most 19 % too large.

    What is infinite, or no number, has a bin of its own; the largest and the sum are those of the finite values, exactly.
    """

    __slots__ = ("counts", "largest", "total")

    def __init__(self) -> None:
        self.counts = np.zeros(_INFINITE + 1, np.int64)
        self.largest = 0.0
        self.total = 0.0

    def __len__(self) -> int:
        return int(self.counts.sum())

    def add(self, values: Array) -> None:
        """Count the values of a one-dimensional array."""
        if not values.size:
            return
        finite = np.isfinite(values)
        sound = np.where(finite, values, 0.0)
        self.counts += np.bincount(np.where(finite, _places(sound), _INFINITE), minlength=_INFINITE + 1)
        self.largest = max(self.largest, float(sound.max()))
        self.total += float(sound.sum())

    @property
    def mean(self) -> float:
        """The mean of the finite values; 0 of none."""
        finite = len(self) - self.infinite
        return self.total / finite if finite else 0.0

    @property
    def infinite(self) -> int:
        """Values that are infinite, or no numbers."""
        return int(self.counts[_INFINITE])

    def quantile(self, share: float) -> float:
        """Return the edge below which that share of the finite values lies; 0 of none."""
        sums = np.cumsum(self.counts[:_INFINITE])
        if not sums[-1]:
            return 0.0
        place = int(np.searchsorted(sums, share * sums[-1]))
        return min(_edge(place), self.largest)

    def above(self, bound: float) -> int:
        """Return how many values are larger, those that are infinite among them; the bound counts as the edge of its bin."""
        return int(self.counts[int(_places(np.array([bound]))[0]) + 1 :].sum())


def _places(values: Array) -> Array:
    """Return the bins: 0 for nothing, and each other bin holds its upper edge, so that 1 is not above 1."""
    with np.errstate(divide="ignore"):
        steps = np.ceil(np.log2(values) * _PER_DOUBLING)
    return np.where(values > 0, np.clip(steps, -_MOST, _MOST) + _MOST + 1, 0).astype(np.int64)


def _edge(place: int) -> float:
    return float(2.0 ** ((place - 1 - _MOST) / _PER_DOUBLING)) if place else 0.0
