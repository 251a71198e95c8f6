"""Intervals of shares, beside those of scipy."""

import pytest
from scipy.stats import binomtest

from penstock.traffic.interval import difference, wilson


@pytest.mark.parametrize("hits, trials", [(0, 10), (10, 10), (1, 1000), (25, 5000), (499, 1000)])
def test_wilson_is_what_scipy_says(hits: int, trials: int) -> None:
    """The two-sided interval of 95 %."""
    expected = binomtest(hits, trials).proportion_ci(0.95, method="wilson")

    assert wilson(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_what_was_never_tried_may_be_anything() -> None:
    """From 0 to 1."""
    assert wilson(0, 0) == (0.0, 1.0)


def test_difference_is_newcombes() -> None:
    """The example (a) of table II in Newcombe (1998), method 10: 56/70 and 48/80."""
    low, high = difference((56, 70), (48, 80))

    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)
