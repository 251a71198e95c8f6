"""Whatever a policy does, every row comes to one end, and no limit is passed."""

import pytest


def _ends(simulation):
    from simulator.row import RUNNING, WAITING

    return [row for row in simulation.rows if row.state in {WAITING, RUNNING}]


@pytest.mark.parametrize("name", ["heavy-tailed rows", "5 % cancels", "classes 80/20", "lognormal lengths", "1 % poison", "on-off, 100 ms"])
def test_every_row_comes_to_an_end(name):
    """Answered, refused, dropped, cancelled or failed: nothing waits when nothing is left to happen."""
    from simulator.catalogue import POLICIES, TUNED
    from simulator.experiment import Case

    for policy in POLICIES:
        if policy != TUNED:
            assert not _ends(Case("CPU-like", name, policy, 0, 0.5).simulated(1.2)), policy


def test_batches_keep_the_largest_size():
    """No run has more rows than the model's largest batch, nor none at all."""
    from simulator.catalogue import POLICIES, TUNED
    from simulator.experiment import CURVES, Case

    for policy in POLICIES:
        if policy != TUNED:
            sizes = {rows for _, _, rows, _ in Case("medium", "heavy-tailed rows", policy, 0, 1.0).simulated(1.5).batches}
            assert min(sizes) > 0, policy
            assert max(sizes) <= CURVES["medium"].max_rows, policy


def test_shared_lanes_run_one_after_another(simulated):
    """Lanes of one device do not make it faster."""
    from simulator.baselines.triton import Greedy
    from simulator.experiment import CURVES

    simulation = simulated(Greedy, CURVES["four shared lanes"], load=1.5, horizon_s=0.2)
    assert simulation.now_ns >= sum(taken for _, taken, *_ in simulation.batches)


def test_run_that_loses_too_much_ends_early():
    """A search need not finish what has already failed."""
    from simulator.experiment import Case

    case = Case("GPU-like", "Poisson", "no batching", 0, 1.0)
    assert case.simulated(1.0, most_losses=50).stopped
    assert not case.sustains(1.0)


def test_closed_clients_never_have_more_than_one_row_each(simulated):
    """As many rows wait and run as there are clients, at most."""
    from simulator.baselines.triton import Greedy
    from simulator.clients import Clients
    from simulator.curves import GPU
    from simulator.device import Device
    from simulator.policy import Setup
    from simulator.row import SECOND
    from simulator.simulation import Simulation
    from simulator.streams import Streams

    simulation = Simulation(Greedy(Setup(GPU, 1.0)), Device(GPU, Streams("closed", 0)["service"]), [])
    Clients(simulation, 8, GPU.slo_ns, SECOND // 10)
    assert max(rows for _, _, rows, _ in simulation.run().batches) <= 8
