"""A run is a function of policy, trace and seed."""

import hashlib

import pytest


def _digest(simulation):
    return hashlib.sha256(repr(simulation.log).encode()).hexdigest()


@pytest.fixture(name="policies")
def _policies():
    """Return all policies that need no tuning."""
    from simulator.catalogue import POLICIES, TUNED

    return {name: make for name, make in POLICIES.items() if name != TUNED}


def _made(make):
    import numpy as np

    return lambda setup: make(setup, np.random.default_rng(0))


def test_same_seed_gives_the_same_decisions(policies, simulated):
    """Every decision of every policy comes again."""
    from simulator.curves import CPU

    for make in policies.values():
        runs = [simulated(_made(make), CPU, load=0.9, horizon_s=0.5, logged=True) for _ in range(2)]
        assert _digest(runs[0]) == _digest(runs[1])


def test_other_seed_gives_other_decisions(policies, simulated):
    """Seeds matter."""
    from simulator.curves import CPU

    runs = [simulated(_made(policies["Nexus"]), CPU, load=0.9, horizon_s=0.5, seed=seed, logged=True) for seed in range(2)]
    assert _digest(runs[0]) != _digest(runs[1])


def test_policies_see_the_same_arrivals(policies, simulated):
    """Common random numbers: what arrives does not depend on who serves it."""
    from simulator.curves import GPU

    seen = {tuple(row.arrival_ns for row in simulated(_made(make), GPU, horizon_s=0.1).rows) for make in policies.values()}
    assert len(seen) == 1


def test_load_squeezes_the_same_arrivals():
    """At twice the load the same random numbers are used: the first gaps are half as long."""
    from simulator.curves import GPU
    from simulator.workloads import POISSON

    slow, fast = (POISSON.trace(GPU, load, 1.0, 3).arrivals_ns for load in (0.5, 1.0))
    assert abs(slow[:1000] - 2 * fast[:1000]).max() <= 2
