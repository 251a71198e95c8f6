"""Bins: quantiles, sums and counts of any number of magnitudes."""

import numpy as np
import pytest

from penstock.traffic.bins import Bins


@pytest.fixture
def bins() -> Bins:
    """No values yet."""
    return Bins()


def test_nothing_has_no_quantile(bins: Bins) -> None:
    """Everything is 0."""
    assert (len(bins), bins.mean, bins.largest, bins.quantile(0.5), bins.above(0)) == (0, 0.0, 0.0, 0.0, 0)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_quantiles_are_at_most_a_bin_too_high(bins: Bins, scale: float) -> None:
    """Over all magnitudes alike."""
    values = np.random.default_rng(1).lognormal(size=10_000) * scale

    bins.add(values[:3000])
    bins.add(values[3000:])

    for share in (0.01, 0.5, 0.9, 0.99):
        assert 1 <= bins.quantile(share) / np.quantile(values, share, method="inverted_cdf") < 2**0.25 + 1e-9
    assert bins.quantile(1.0) == bins.largest == values.max()
    assert bins.mean == pytest.approx(values.mean())


def test_a_bound_is_not_above_itself(bins: Bins) -> None:
    """What is exactly tolerated is tolerated."""
    bins.add(np.array([0.0, 0.5, 1.0, np.nextafter(1, 2) + 1e-12, 3.0, np.inf, np.nan]))

    assert bins.above(1.0) == 4
    assert bins.above(0.0) == 6
    assert bins.infinite == 2
    assert bins.largest == 3.0


def test_sizes_beyond_the_bins_are_counted_at_their_ends(bins: Bins) -> None:
    """Nothing gets lost, however large or small."""
    bins.add(np.array([1e-300, 1e300, 5e-324]))

    assert len(bins) == 3
    assert bins.above(1.0) == 1
