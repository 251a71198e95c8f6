"""Shares and the intervals that hold at every look."""

import numpy as np
import pytest

from penstock.traffic.share import Interval, Share, interval


def test_nothing_seen_says_nothing():
    """Any share is possible."""
    assert interval(Share(), 0.05) == Interval(0.0, 1.0)


@pytest.mark.parametrize("share", [Share(0, 50), Share(3, 50), Share(50, 50)])
def test_the_share_lies_in_its_interval_and_more_requests_narrow_it(share):
    """At both ends of the scale too."""
    low, high = interval(share, 0.05)
    narrow = interval(Share(share.bad * 100, share.of * 100), 0.05)

    assert low <= share.value <= high
    assert narrow.high - narrow.low < (high - low) / 2
    assert 0 <= low <= high <= 1


def test_the_true_share_stays_inside_at_all_of_many_looks():
    """A fixed-sample 95 % interval misses it in about half of these walks."""
    rng, missed, walks, truth = np.random.default_rng(7), 0, 300, 0.05
    for _ in range(walks):
        bad, missed_once = 0, False
        for look in range(1, 80):
            bad += int(rng.binomial(25, truth))
            low, high = interval(Share(bad, look * 25), 0.05)
            missed_once |= not low <= truth <= high
        missed += missed_once

    assert missed / walks < 0.05
