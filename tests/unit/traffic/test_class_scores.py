"""Class scores: labels, the best few, and distances of distributions."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from penstock.traffic.class_scores import best_of, class_agreement, jensen_shannon


def test_distance_is_what_scipy_says() -> None:
    """To base 2, zeros included."""
    source = np.random.default_rng(2)
    primary, shadow = source.dirichlet(np.ones(7), 50), source.dirichlet(np.ones(7), 50)
    primary[:, 3] = 0
    primary /= primary.sum(axis=1, keepdims=True)

    expected = [jensenshannon(one, other, 2) for one, other in zip(primary, shadow, strict=True)]

    assert np.allclose(jensen_shannon(primary, shadow), expected)


def test_distance_is_none_of_the_same_and_one_of_the_disjoint() -> None:
    """Its bounds."""
    assert jensen_shannon(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.5, 0.5], [0.0, 1.0]])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("row", [[0.5, 0.6], [1.5, -0.5], [np.nan, 1.0], [3.0, 4.0]])
def test_what_is_no_distribution_has_no_distance(row: list[float]) -> None:
    """Scores of any other kind."""
    assert np.isnan(jensen_shannon(np.array([row]), np.array([[0.5, 0.5]]))).all()
    assert np.isnan(jensen_shannon(np.array([[0.5, 0.5]]), np.array([row]))).all()


def test_labels_and_the_best_few() -> None:
    """The first row agrees, the second in three of its best five, the third only in another order."""
    primary = np.tile(np.arange(10.0), (3, 1))
    shadow = primary.copy()
    shadow[1, [0, 1]] = 20, 21
    shadow[2, [8, 9]] = 9, 8

    agreed = class_agreement(primary, shadow)

    assert agreed.flipped.tolist() == [False, True, True]
    assert agreed.overlap.tolist() == [1.0, 0.6, 1.0]


def test_nan_is_no_class() -> None:
    """The highest score that is a number gives the label."""
    assert class_agreement(np.array([[1.0, 2.0]]), np.array([[1.0, np.nan]])).flipped.tolist() == [True]


@pytest.mark.parametrize("classes, best", [(2, 0), (3, 0), (4, 2), (9, 4), (1000, 5)])
def test_as_many_of_the_best_as_say_something(classes: int, best: int) -> None:
    """No more than half of all."""
    assert best_of(classes) == best
