"""The simulator reproduces what queueing theory knows exactly."""

from bisect import bisect

import pytest


@pytest.fixture(name="curve")
def _curve():
    """Return a function that makes a model of alpha + beta * b without noise or an objective that binds."""
    from simulator.curves import Curve, line, tabled
    from simulator.row import SECOND

    return lambda alpha_ms, beta_ms, most: Curve("exact", tabled(line(alpha_ms, beta_ms), most), 10_000 * SECOND, sigma=0.0)


@pytest.mark.parametrize("busy", [0.2, 0.6])
def test_greedy_has_the_exact_mean_latency(curve, simulated, busy):
    """Poisson arrivals, one server, run time alpha + beta b: the mean latency of `take everything` is known exactly."""
    from simulator.baselines.triton import Greedy

    alpha, beta = 4.0, 0.1
    model = curve(alpha, beta, 1000)
    per_ms = busy / beta
    simulation = simulated(Greedy, model, load=per_ms * 1000 / model.capacity, horizon_s=60_000 / per_ms / 1000)

    nobody = _share_without_arrivals(simulation)
    mean = sum(row.finish_ns - row.arrival_ns for row in simulation.rows) / len(simulation.rows) / 1e6
    assert mean == pytest.approx(_exact_ms(per_ms, alpha, beta, nobody), rel=0.02)


def test_single_rows_are_an_m_d_1_queue(curve, simulated):
    """Batches of one are an M/D/1 queue: the Pollaczek-Khinchine mean."""
    from simulator.baselines.fixed import Alone

    model = curve(1.0, 0.0, 1)
    simulation = simulated(Alone, model, load=0.5, horizon_s=100.0)

    mean = sum(row.finish_ns - row.arrival_ns for row in simulation.rows) / len(simulation.rows) / 1e6
    assert mean == pytest.approx(1.0 + 0.5 / (2 * (1 - 0.5)), rel=0.02)


def test_bound_answers_everything_below_capacity_and_capacity_above(curve):
    """With arrivals known, no more than the device's share can be answered, and below it all of it."""
    from simulator.baselines.oracle import bound
    from simulator.curves import GPU
    from simulator.workloads import POISSON

    below, _ = bound(POISSON.trace(GPU, 0.5, 2.0, 0), GPU)
    above, _ = bound(POISSON.trace(GPU, 2.0, 2.0, 0), GPU)
    assert below == 1.0
    assert above == pytest.approx(0.5, abs=0.02)


def test_control_limit_is_one_when_idle_and_grows_with_the_rate():
    """The optimal policy goes at once while arrivals are rare, and waits for more of them when they are not."""
    from simulator.baselines.oracle import control_limit
    from simulator.curves import line, tabled

    table = tabled(line(5, 0.5), 32)
    assert control_limit(table, 32, 200.0) == 1
    assert 2 <= control_limit(table, 32, 1000.0) <= 5


def _exact_ms(rate, alpha, beta, nobody):
    """Return E[W] by the batch sizes' first two moments, given the share of runs during which nobody arrives."""
    x = (rate * alpha + nobody) / (1 - rate * beta)
    y = (x * (1 + 2 * rate**2 * alpha * beta) + rate**2 * alpha**2) / (1 - rate**2 * beta**2)
    return (y / x) * (1 / (2 * rate) + beta) - 1 / (2 * rate) + alpha


def _share_without_arrivals(simulation):
    arrivals = [row.arrival_ns for row in simulation.rows]
    return sum(bisect(arrivals, start) == bisect(arrivals, start + taken) for start, taken, *_ in simulation.batches) / len(
        simulation.batches
    )
