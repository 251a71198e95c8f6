"""Whole rollouts on a virtual clock: good canaries go through, bad ones go back before they have done harm."""

from collections import Counter

import pytest

from penstock.traffic.rollout import Phase


def endings(rollouts, count, **world):
    """Return how rollouts in a world end."""
    return [rollouts.simulate(rollouts.World(look_s=10.0, **world), seed) for seed in range(count)]


@pytest.mark.parametrize(
    "world", [{}, {"restless": 1.0}, {"clump": 5}, {"clump": 5, "sticky": True}], ids=["plain", "restless", "stalls", "sticky"]
)
def test_a_canary_that_is_the_same_is_promoted(rollouts, world):
    """In quiet traffic, in waves of load, and with requests that share their fate."""
    assert Counter(ending.phase for ending in endings(rollouts, 6, **world)) == {Phase.PROMOTING: 6}


@pytest.mark.parametrize("rate", [20.0, 100.0, 1000.0])
@pytest.mark.parametrize("effect", [{"extra_errors": 0.01}, {"slower": 1.5}], ids=["errors", "latency"])
def test_a_worse_canary_is_rolled_back_with_few_bad_responses(rollouts, rate, effect):
    """Bad are errors, and what is slower than the stable arm's p99."""
    found = endings(rollouts, 4, rate=rate, **effect)

    assert {ending.phase for ending in found} == {Phase.ROLLED_BACK}
    assert max(ending.bad_share for ending in found) < 0.01


def test_a_canary_that_fails_always_is_rolled_back_within_a_few_requests(rollouts):
    """Of its own."""
    for ending in endings(rollouts, 6, rate=20.0, extra_errors=1.0):
        assert ending.phase is Phase.ROLLED_BACK
        assert ending.canary_responses < 30


def test_too_little_traffic_holds(rollouts):
    """Three requests a minute, for four hours."""
    (ending,) = endings(rollouts, 1, rate=0.05)

    assert ending.phase is Phase.WAITING
    assert "of at least 100 requests in this step" in ending.why


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_two_thousand_equal_canaries_less_than_one_in_a_hundred_is_rolled_back(rollouts):
    """The rest goes through."""
    found = Counter(ending.phase for ending in endings(rollouts, 2000))

    assert found[Phase.ROLLED_BACK] < 20
    assert found[Phase.PROMOTING] > 1980
