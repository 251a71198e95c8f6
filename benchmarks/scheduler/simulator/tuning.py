"""Which size and timeout of the grid is best for a workload and a load: an oracle, since nobody knows them beforehand."""

from typing import Final, NamedTuple

from simulator.baselines.fixed import grid
from simulator.catalogue import TUNED
from simulator.experiment import CURVES, LOADS, Case, Static
from simulator.metrics import figures

_TUNING_SEED: Final = 1000
"""Not among the seeds that are reported."""
_PART: Final = 0.3


class Tuning(NamedTuple):
    """What to tune for."""

    curve: str
    workload: str
    load: float
    horizon_s: float


class Tuned(NamedTuple):
    """The best setting found."""

    tuning: Tuning
    static: Static


def tune(tuning: Tuning) -> Tuned:
    """Try all 64 settings: for the lowest p99 below capacity, for the highest goodput above it."""
    curve = CURVES[tuning.curve]
    settings = grid(curve.slo_ns, curve.max_rows)
    return Tuned(tuning, min(settings, key=lambda static: _cost(tuning, static)))


def _cost(tuning: Tuning, static: Static) -> tuple[float, float]:
    case = Case(tuning.curve, tuning.workload, TUNED, _TUNING_SEED, tuning.horizon_s * _PART, ((tuning.load, static),))
    seen = figures(case.simulated(tuning.load))
    return (seen.p99_ms, -seen.goodput) if tuning.load < 1 else (-seen.goodput, seen.p99_ms)


def tunings(curve: str, workload: str, horizon_s: float) -> list[Tuning]:
    """Return what to tune for one curve and workload."""
    return [Tuning(curve, workload, load, horizon_s) for load in LOADS]
