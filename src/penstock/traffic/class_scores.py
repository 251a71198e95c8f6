"""Agreement of class scores: labels, the best few, and a distance between distributions."""

from typing import Final, NamedTuple

import numpy as np

from penstock.domain.tensor import Array

MOST_CLASSES: Final = 1 << 16
_BEST: Final = 5
_SUM_TO_ONE: Final = 1e-3


class ClassAgreement(NamedTuple):
    """What was found of each row; arrays of one entry for each."""

    flipped: Array
    """Whether another class has the highest score."""
    overlap: Array
    """Which part of the best few, in any order, is the same; NaN where there are too few classes to ask."""
    distance: Array
    """The Jensen-Shannon distance, from 0 to 1; NaN where a row is no distribution."""


def class_agreement(primary: Array, shadow: Array) -> ClassAgreement:
    """Return how two arrays [rows, classes] of scores agree; a score that is no number is the lowest of all."""
    ours, theirs = np.nan_to_num(primary, nan=-np.inf, posinf=None), np.nan_to_num(shadow, nan=-np.inf, posinf=None)
    flipped = ours.argmax(axis=1) != theirs.argmax(axis=1)
    return ClassAgreement(flipped, _overlap(ours, theirs), jensen_shannon(primary, shadow))


def best_of(classes: int) -> int:
    """Return how many of the best are compared: five, but no more than half of all; 0 where that says less than the label alone."""
    return min(_BEST, classes // 2) if classes >= 4 else 0  # noqa: PLR2004 - the best two of three are nearly always the same


def jensen_shannon(primary: Array, shadow: Array) -> Array:
    """Return the distance of each two rows, NaN where one of them is no distribution.

    The square root of Jensen-Shannon's divergence (Lin, "Divergence measures based on the Shannon entropy", 1991) to base 2, which is a
    metric (Endres and Schindelin, "A new metric for probability distributions", 2003) and finite where a probability is 0.
    """
    middle = (primary + shadow) / 2
    with np.errstate(invalid="ignore"):
        squared = (_relative_entropy(primary, middle) + _relative_entropy(shadow, middle)) / 2
    known = _are_distributions(primary) & _are_distributions(shadow)
    return np.where(known, np.sqrt(np.clip(squared, 0.0, 1.0)), np.nan)


def _relative_entropy(one: Array, other: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(one > 0, one * np.log2(one / other), 0.0)
    return np.asarray(terms.sum(axis=1))


def _are_distributions(rows: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray((rows >= 0).all(axis=1) & (np.abs(rows.sum(axis=1) - 1) <= _SUM_TO_ONE))


def _overlap(primary: Array, shadow: Array) -> Array:
    rows, classes = primary.shape
    best = best_of(classes)
    if not best:
        return np.full(rows, np.nan)
    ours = np.argpartition(primary, classes - best, axis=1)[:, -best:]
    theirs = np.argpartition(shadow, classes - best, axis=1)[:, -best:]
    return np.asarray((ours[:, :, None] == theirs[:, None, :]).sum(axis=(1, 2)) / best)
