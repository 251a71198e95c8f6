"""Questions that need a measurement of their own: recovery, poison, fairness, closed loops and the estimator."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Final, NamedTuple

import numpy as np

from simulator import workloads
from simulator.baselines import deadlines, fixed, tensorflow, triton
from simulator.catalogue import OURS, POLICIES, TUNED
from simulator.clients import Clients
from simulator.curves import Curve, line, tabled
from simulator.device import Device
from simulator.experiment import CURVES, Case
from simulator.metrics import counted, jain, latencies_ms, recovery_ms
from simulator.models import TakingTurns
from simulator.policy import Policy, Setup
from simulator.row import ANSWERED, MS, SECOND, Row
from simulator.shipped import Shipped, ShippedModels
from simulator.simulation import Simulation
from simulator.streams import Streams
from simulator.trace import MODELS, Mix, Trace
from simulator.workloads import Workload

GPU: Final = "GPU-like"
CLIENTS: Final = (1, 8, 64, 512)
_VICTIMS_LOAD, _FLOOD_LOAD = 0.4, 1.0
_STEP_MEAN: Final = 5 / 6
_POISON: Final = (("CPU-like", 0, 0.8), ("CPU-like", 1, 0.8), (GPU, 0, 0.5))
"""Curve, workload and load. 1 % poison at 4 ms for the shortest run would take more than the device has: 10 reruns per poison row."""

DEVICE: Final = Curve("one device for 20 models", tabled(line(1, 0.2), 32), 200 * MS)

Figure = tuple[str, str, float]
"""Of which policy, what, and how much."""


class Question(NamedTuple):
    """One measurement of one policy."""

    name: str
    policy: str
    seed: int
    horizon_s: float


def recovery(question: Question) -> list[Figure]:
    """Return how long after 150 % load queues wait for more than half the objective, in objectives."""
    curve = CURVES[GPU]
    case = Case(GPU, workloads.STEP.name, question.policy, question.seed, question.horizon_s)
    rows = case.simulated(_STEP_MEAN).rows
    calm_ns = int(question.horizon_s * SECOND * 2 / 3)
    return [(question.policy, "recovery", recovery_ms(rows, calm_ns, curve.slo_ns // 2) / (curve.slo_ns / MS))]


def poison(question: Question) -> list[Figure]:
    """Return the share of sound rows answered, and reruns by poison row, at 0.1 and 1 % poison."""
    figures: list[Figure] = []
    for curve, place, load in _POISON:
        workload = workloads.POISON[place]
        simulation = Case(curve, workload.name, question.policy, question.seed, question.horizon_s).simulated(load)
        title = f"{workload.name}, {curve} at {load:.0%}"
        sound = [row for row in counted(simulation.rows) if not row.poison]
        figures.append((question.policy, f"{title}: sound rows answered", _share(sound)))
        if isinstance(simulation.policy, Shipped):
            poisoned = sum(row.poison for row in simulation.rows)
            figures.append((question.policy, f"{title}: reruns per poison row", simulation.policy.reruns / max(1, poisoned)))
            figures.append((question.policy, f"{title}: 2 log2 of the mean batch", _depth(simulation)))
    return figures


def fairness(question: Question) -> list[Figure]:
    """Return how victims fare when one of 20 models is flooded with as much as the device can do, beside the same without it."""
    flooded = _VICTIMS_LOAD + _FLOOD_LOAD
    workload = Workload("20 models, one floods", mix=Mix(models=MODELS, flood=_FLOOD_LOAD / flooded))
    trace = workload.trace(DEVICE, flooded, question.horizon_s, question.seed)
    with_flood, without = _served(question, trace), _served(question, trace.without(MODELS - 1))
    shares = [_in_time([row for row in with_flood if row.model == model]) for model in range(MODELS - 1)]
    victims = [[row for row in rows if row.model < MODELS - 1] for rows in (with_flood, without)]
    return [
        (question.policy, "p99 of victims, ms", _p99(victims[0])),
        (question.policy, "without the flood, ms", _p99(victims[1])),
        (question.policy, "victims in time, least of 19", min(shares)),
        (question.policy, "Jain's index of victims", jain(shares)),
        (question.policy, "flooding model in time", _in_time([row for row in with_flood if row.model == MODELS - 1])),
    ]


def closed(question: Question) -> list[Figure]:
    """Return answers per second of 1 to 512 clients who ask again at once."""
    figures: list[Figure] = []
    curve, horizon_ns = CURVES[GPU], int(question.horizon_s * SECOND)
    for clients in CLIENTS:
        streams = Streams("closed", question.seed)
        setup = Setup(curve, curve.capacity)
        simulation = Simulation(_made(question.policy, setup, streams), Device(curve, streams["service"]), [])
        Clients(simulation, clients, curve.slo_ns, horizon_ns)
        answered = sum(0 < row.finish_ns <= horizon_ns for row in simulation.run().rows)
        figures.append((question.policy, f"{clients} clients, answers/s", answered / question.horizon_s))
    return figures


def estimator(question: Question) -> list[Figure]:
    """Return the median error of the shipped model's expectations, after 50 batches, and when everything becomes twice as slow."""
    figures: list[Figure] = []
    for name in ("GPU-like", "medium", "CPU-like", "stragglers", "steps"):
        errors = _errors(name, question, question.horizon_s)
        figures.append((OURS, f"{name}: median error", median(error for _, error in errors[50:])))
    drift_ns = CURVES["drift"].drift_ns
    errors = _errors("drift", question, 1.6 * drift_ns / SECOND)
    figures.append((OURS, "drift, under way: median error", median(error for at, error in errors if at <= drift_ns)))
    figures.append((OURS, "drift: seconds to a median error below 10 % after it", _settled_s(errors, drift_ns)))
    return figures


QUESTIONS: Final[dict[str, Callable[[Question], list[Figure]]]] = {
    "recovery": recovery,
    "poison": poison,
    "fairness": fairness,
    "closed": closed,
    "estimator": estimator,
}

_SHARING: Final[dict[str, Callable[[Setup], Policy]]] = {
    OURS: ShippedModels,
    "size + timeout": lambda setup: TakingTurns(lambda: fixed.SizeAndTimeout(setup, 32, 10 * MS), setup.curve.lanes),
    "Triton, greedy": lambda setup: TakingTurns(lambda: triton.Greedy(setup), setup.curve.lanes),
    "TF shared": lambda setup: TakingTurns(lambda: tensorflow.Shared(setup), setup.curve.lanes),
    "Nexus": lambda setup: TakingTurns(lambda: deadlines.Nexus(setup), setup.curve.lanes),
    "Symphony, gate": lambda setup: TakingTurns(lambda: deadlines.BetaLambda(setup), setup.curve.lanes),
}


def asked_of(name: str) -> Sequence[str]:
    """Return the policies that a question is put to."""
    if name == "estimator":
        return (OURS,)
    return tuple(_SHARING) if name == "fairness" else tuple(policy for policy in POLICIES if policy != TUNED)


def ask(question: Question) -> tuple[Question, list[Figure]]:
    """Answer a question."""
    return question, QUESTIONS[question.name](question)


def _made(policy: str, setup: Setup, streams: Streams) -> Policy:
    return POLICIES[policy](setup, streams["policy"])


def _served(question: Question, trace: Trace) -> Sequence[Row]:
    setup = Setup(DEVICE, DEVICE.capacity)
    device = Device(DEVICE, Streams(question.name, question.seed)["service"])
    return counted(Simulation(_SHARING[question.policy](setup), device, trace.requests()).run().rows)


def _share(rows: Sequence[Row]) -> float:
    return sum(row.state == ANSWERED for row in rows) / max(1, len(rows))


def _in_time(rows: Sequence[Row]) -> float:
    return sum(row.state == ANSWERED and row.finish_ns <= row.due_ns for row in rows) / max(1, len(rows))


def _p99(rows: Sequence[Row]) -> float:
    return float(np.percentile(latencies_ms(rows), 99, method="higher"))


def _depth(simulation: Simulation) -> float:
    rows = [rows for _, _, rows, good in simulation.batches if good]
    return 2 * float(np.log2(np.mean(rows)))


def _errors(curve: str, question: Question, horizon_s: float) -> list[tuple[int, float]]:
    policy = Case(curve, workloads.POISSON.name, OURS, question.seed, horizon_s).simulated(0.4).policy
    assert isinstance(policy, Shipped), "ours is asked"
    return policy.errors


def _settled_s(errors: Sequence[tuple[int, float]], drift_ns: int) -> float:
    later = [(at, error) for at, error in errors if at > drift_ns]
    wrong = [at for (at, _), near in zip(later, _medians([error for _, error in later]), strict=True) if near > 0.1]
    return (wrong[-1] - drift_ns) / SECOND if wrong else 0.0


def _medians(values: Sequence[float], width: int = 25) -> list[float]:
    return [median(values[max(0, place - width) : place + 1]) for place in range(len(values))]
