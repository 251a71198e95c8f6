"""The test behind every gate of a share, judged by exact sums over everything that could happen."""

import math
from itertools import product

import numpy as np
import pytest

from penstock.traffic.evidence import Evidence
from penstock.traffic.share import Share


def chance(bad: int, of: int, share: float) -> float:
    """Return how likely so many bad ends are."""
    return math.comb(of, bad) * share**bad * (1 - share) ** (of - bad)


def mean_after(evidence, stable, canary):
    """Return the mean evidence over all outcomes of one more span, in which (ends, share) of both arms are given."""
    (n, p), (m, q) = stable, canary
    total = 0.0
    for bad, canary_bad in product(range(n + 1), range(m + 1)):
        after = evidence()
        after.take(Share(bad, n), Share(canary_bad, m))
        total += chance(bad, n, p) * chance(canary_bad, m, q) * math.exp(after.log)
    return total


@pytest.mark.parametrize("ends", [(1, 1), (30, 2), (5, 12)], ids=["one-each", "mostly-stable", "mostly-canary"])
@pytest.mark.parametrize("stable", [0.0005, 0.02, 0.3, 0.8])
@pytest.mark.parametrize(("ratio", "difference"), [(1.0, 0.002), (1.3, 0.0), (1.0, 0.05), (0.0, 0.02)])
def test_a_tolerated_canary_never_earns_evidence_on_average(ends, stable, ratio, difference):
    """The property on which the promise about false alarms rests, for pairs on the line and below it."""
    tolerated = min(0.999, ratio * stable + difference)

    def evidence():
        fresh = Evidence(ratio, difference)
        fresh.take(Share(3, 150), Share(1, 40))  # something was seen before
        return fresh

    before = math.exp(evidence().log)
    for share in (tolerated, tolerated / 2):
        assert mean_after(evidence, (ends[0], stable), (ends[1], share)) <= before * (1 + 1e-6)


def test_a_canary_that_is_worse_earns_evidence_on_average():
    """Otherwise nothing would ever be proven."""
    assert mean_after(lambda: Evidence(1.0, 0.002), (30, 0.02), (10, 0.3)) > 1.5


def test_equal_arms_stay_without_proof_however_often_they_are_looked_at():
    """Although the share of both goes up and down by turns."""
    rng, alarms = np.random.default_rng(3), 0
    for _ in range(60):
        evidence, proven = Evidence(1.0, 0.0), False
        for look in range(150):
            share = 0.05 * (1 + math.sin(look / 9))  # comes and goes, in both arms alike
            evidence.take(Share(int(rng.binomial(200, share)), 200), Share(int(rng.binomial(20, share)), 20))
            proven |= evidence.log >= math.log(1 / 0.05)
        alarms += proven

    assert alarms / 60 < 0.05


@pytest.mark.parametrize("excess", [0.01, 0.05, 0.5])
def test_a_worse_canary_is_proven_within_a_few_times_the_requests_that_any_test_takes(excess):
    """The least is log(1/alpha) over the information in one request."""
    rng, evidence, requests = np.random.default_rng(5), Evidence(1.0, 0.002), 0
    worse, tolerated = 0.001 + excess, 0.003
    information = worse * math.log(worse / tolerated) + (1 - worse) * math.log((1 - worse) / (1 - tolerated))

    while evidence.log < math.log(1000):
        requests += 20
        evidence.take(Share(int(rng.binomial(380, 0.001)), 380), Share(int(rng.binomial(20, worse)), 20))

    assert requests < 20 + 5 * math.log(1000) / information


@pytest.mark.parametrize("sticky", [False, True])
def test_requests_that_share_their_fate_weigh_less_than_independent_ones(sticky):
    """The stable arm shows how alike the requests of one span are."""
    rng, loose, clumped = np.random.default_rng(1), Evidence(1.0, 0.0, sticky=sticky), Evidence(1.0, 0.0, sticky=sticky)
    for _ in range(200):
        loose.take(Share(int(rng.binomial(100, 0.02)), 100), Share(2, 100))
        clumped.take(Share(100 * int(rng.binomial(1, 0.02)), 100), Share(2, 100))
    before = loose.log, clumped.log
    loose.take(Share(2, 100), Share(30, 100))
    clumped.take(Share(2, 100), Share(30, 100))

    assert loose.log - before[0] > 5 * (clumped.log - before[1]) > 0
