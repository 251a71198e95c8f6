"""The simulator of benchmarks/scheduler, which no package installs."""

import sys
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[3] / "benchmarks" / "scheduler"


@pytest.fixture(scope="session", autouse=True)
def _simulator():
    """Let `simulator` be imported, as it is beside run.py."""
    sys.path.insert(0, str(_FOLDER))
    yield
    sys.path.remove(str(_FOLDER))


@pytest.fixture
def simulated():
    """Return a function that runs a policy on a curve, by names and numbers."""
    from simulator.device import Device
    from simulator.policy import Setup
    from simulator.simulation import Simulation
    from simulator.streams import Streams
    from simulator.workloads import MAIN, Workload

    def run(make, curve, *, load=0.5, horizon_s=1.0, seed=0, workload: Workload = MAIN[0], logged=False):
        streams = Streams(workload.name, seed)
        trace = workload.trace(curve, load, horizon_s, seed)
        device = Device(curve, streams["service"])
        simulation = Simulation(make(Setup(curve, load * curve.capacity)), device, trace.requests())
        simulation.log = [] if logged else None
        return simulation.run()

    return run
