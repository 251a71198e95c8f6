"""One simulation from names and numbers: what is done to a policy to learn its figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from simulator import curves, workloads
from simulator.baselines.fixed import SizeAndTimeout
from simulator.baselines.oracle import bound
from simulator.catalogue import BOUND, POLICIES, TUNED
from simulator.curves import Curve
from simulator.device import Device
from simulator.metrics import Figures, figures
from simulator.policy import Policy, Setup
from simulator.row import NEVER
from simulator.simulation import Simulation
from simulator.streams import Streams
from simulator.workloads import Workload

CURVES: Final[Mapping[str, Curve]] = {curve.name: curve for curve in (*curves.MAIN, *curves.OTHERS)}
WORKLOADS: Final[Mapping[str, Workload]] = {
    load.name: load for load in (*workloads.MAIN, *workloads.OTHERS, workloads.STEP, *workloads.POISON)
}

LOADS: Final = (0.1, 0.5, 0.9, 1.1, 2.0)
_ALLOWED: Final = 0.01
_COARSE: Final = tuple(step / 100 for step in range(112, 4, -8))
_FINE: Final = (0.06, 0.04, 0.02)

Static = tuple[int, int]
"""Size and timeout in nanoseconds."""


@dataclass(frozen=True)
class Case:
    """A policy under one curve, workload and seed."""

    curve: str
    workload: str
    policy: str
    seed: int
    horizon_s: float
    statics: tuple[tuple[float, Static], ...] = ()
    """For the tuned static: its size and timeout by load."""
    loads: tuple[float, ...] = LOADS
    search: bool = True

    def simulated(self, load: float, *, most_losses: int = NEVER) -> Simulation:
        """Run at a share of the capacity."""
        curve, workload = CURVES[self.curve], WORKLOADS[self.workload]
        streams = Streams(self.workload, self.seed)
        trace = workload.trace(curve, load, self.horizon_s, self.seed)
        device = Device(curve, streams["service"])
        return Simulation(self._policy(load, streams), device, trace.requests(), most_losses=most_losses).run()

    def sustains(self, load: float) -> bool:
        """Tell whether 99 % of all rows are answered within the objective; a run that fails ends early."""
        curve, workload = CURVES[self.curve], WORKLOADS[self.workload]
        trace = workload.trace(curve, load, self.horizon_s, self.seed)
        if self.policy == BOUND:
            return bound(trace, curve)[0] >= 1 - _ALLOWED
        allowed = int(trace.rows.sum() * _ALLOWED)
        return not self.simulated(load, most_losses=allowed).stopped

    def _policy(self, load: float, streams: Streams) -> Policy:
        curve, workload = CURVES[self.curve], WORKLOADS[self.workload]
        setup = Setup(curve, load * curve.capacity, workload.mix.lengths)
        if self.policy != TUNED:
            return POLICIES[self.policy](setup, streams["policy"])
        _, static = min(self.statics, key=lambda entry: abs(entry[0] - load))
        return SizeAndTimeout(setup, *static)


class Answer(NamedTuple):
    """What became of a case."""

    case: Case
    figures: dict[float, Figures]
    sustained: float
    """The highest load that it sustains, 0 if none of those tried."""


def answer(case: Case) -> Answer:
    """Run a case at all its loads, and look for the highest that it sustains."""
    if case.policy == BOUND:
        return Answer(case, {load: _bounded(case, load) for load in case.loads}, sustained(case) if case.search else 0.0)
    return Answer(case, {load: figures(case.simulated(load)) for load in case.loads}, sustained(case) if case.search else 0.0)


def sustained(case: Case) -> float:
    """Return the highest load sustained, to 2 %: down in steps of 8 % until one is, then up between.

    Down rather than by halves: some policies fail at low loads, and runs that fail are short.
    """
    found = next((load for load in _COARSE if case.sustains(load)), 0.0)
    if not found:
        return 0.0
    return next((round(found + more, 2) for more in _FINE if case.sustains(round(found + more, 2))), found)


def _bounded(case: Case, load: float) -> Figures:
    curve = CURVES[case.curve]
    trace = WORKLOADS[case.workload].trace(curve, load, case.horizon_s, case.seed)
    counted = slice(len(trace.rows) // 5, None)
    good = bound(trace, curve)[1][counted]
    rows, arrivals = trace.rows[counted], trace.arrivals_ns[counted]
    share = float(rows[good].sum() / rows.sum())
    seconds = max(1, int(arrivals[-1] - arrivals[0])) / 1e9
    return Figures(0.0, 0.0, float(rows[good].sum() / seconds), share, 0.0, 1 - share, 0.0, 0.0, 0.0, 0.0)
