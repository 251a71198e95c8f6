"""Is this server worse than that one, or than it was? Intervals by bootstrap over rounds, and a verdict for each figure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from penstock.bench.arrivals import Closed
from penstock.bench.plan import Plan
from penstock.bench.result import Change, Comparison, Figures, Result, Round, figures_of

LEAST_ROUNDS: Final = 3
_RESAMPLES: Final = 4000
_SEED: Final = 20
_INTERVAL: Final = (2.5, 97.5)

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Gate(NamedTuple):
    """How one figure is judged."""

    figure: str
    """A field of `Figures`."""
    tolerance: float
    """By how much it may be worse: 0.1 is ten percent."""
    floor: float
    """A difference up to this, in the figure's own unit, is never called worse."""
    more_is_better: bool = False
    shift: float = 0.0
    """Is added to both sides, so that figures that are usually 0 have a ratio."""


GATES: Final = (
    Gate("p50_ms", 0.10, 0.3),
    Gate("p99_ms", 0.10, 0.3),
    Gate("error_rate", 0.10, 0.001, shift=0.001),
    # Work done and its cost repeat far better than latencies do. In simulated rounds that scatter by 5 %, every tenth of them
    # disturbed by 20 % more, 40 rounds at this tolerance catch 99 % of slowdowns by 10 % and blame 0.3 % of equal servers.
    Gate("rps", 0.03, 0.0, more_is_better=True),
    Gate("cpu_us", 0.03, 0.0),
)
"""Every figure that is compared."""


def interleaved(rounds: int, ours: Callable[[], Round], theirs: Callable[[], Round]) -> tuple[list[Round], list[Round]]:
    """Return rounds of both servers, taken in the order ABBA, so that what drifts on the machine hits both alike."""
    measured: tuple[list[Round], list[Round]] = ([], [])
    for number in range(rounds):
        sides = [(0, ours), (1, theirs)]
        for side, measure in sides if number % 2 == 0 else reversed(sides):
            measured[side].append(measure())
    return measured


def compared(
    baseline: str, theirs: Sequence[Round], ours: Sequence[Round], plan: Plan, tolerances: Mapping[str, float], *, paired: bool
) -> Comparison:
    """Return the comparison of our rounds with the baseline's; `paired` if each was taken next to its counterpart."""
    before, after = list(map(figures_of, theirs)), list(map(figures_of, ours))
    gates = [gate._replace(tolerance=tolerances.get(gate.figure, gate.tolerance)) for gate in GATES if _is_judged(gate, plan)]
    changes = tuple(change for gate in gates for change in _changes(gate, before, after, paired=paired))
    return Comparison(baseline=baseline, interleaved=paired, rounds=len(ours), changes=changes)


def against(earlier: Result, name: str, ours: Sequence[Round], plan: Plan, tolerances: Mapping[str, float]) -> Comparison:
    """Return the comparison with an earlier run's result."""
    return compared(name, earlier.rounds, ours, plan, tolerances, paired=False)


def _is_judged(gate: Gate, plan: Plan) -> bool:
    # In an open loop the rate of answers is the rate of requests, whatever the server is like.
    return gate.figure != "rps" or isinstance(plan.load, Closed)


def _changes(gate: Gate, before: Sequence[Figures], after: Sequence[Figures], *, paired: bool) -> Iterator[Change]:
    theirs, ours = _values(gate, before), _values(gate, after)
    if theirs is None or ours is None:
        return
    low, ratio, high = _interval(gate, theirs, ours, paired=paired)
    measured, baseline = float(np.median(ours)), float(np.median(theirs))
    yield Change(
        figure=gate.figure,
        baseline=baseline,
        measured=measured,
        ratio=ratio,
        low=low,
        high=high,
        tolerance=gate.tolerance,
        worse=low > 1 + gate.tolerance and abs(measured - baseline) > gate.floor,
    )


def _values(gate: Gate, figures: Sequence[Figures]) -> Floats | None:
    """Return the figure of each round, or None if it was not measured in all of them."""
    values = [None if one.error_rate == 1 and gate.figure.endswith("_ms") else getattr(one, gate.figure) for one in figures]
    return None if None in values or not values else np.array(values, float)


def _interval(gate: Gate, theirs: Floats, ours: Floats, *, paired: bool) -> tuple[float, float, float]:
    """Return how many times worse ours is, between the bounds of the interval of 95 %."""
    before, after = (np.log(np.maximum(side + gate.shift, np.finfo(float).tiny)) for side in (theirs, ours))
    if gate.more_is_better:
        before, after = after, before
    middle, spread = _paired(after - before) if paired else _unpaired(before, after)
    low, high = np.percentile(spread, _INTERVAL)
    return float(np.exp(low)), float(np.exp(middle)), float(np.exp(high))


def _paired(differences: Floats) -> tuple[float, Floats]:
    """Return the midmean of the differences of neighbours, which shared most of what disturbed them, and its bootstrap."""
    return float(_midmean(differences)), _midmean(_resampled(differences, np.random.default_rng(_SEED)))


def _unpaired(before: Floats, after: Floats) -> tuple[float, Floats]:
    """Return the difference of medians, and its bootstrap."""
    generator = np.random.default_rng(_SEED)
    spread = np.median(_resampled(after, generator), axis=-1) - np.median(_resampled(before, generator), axis=-1)
    return float(np.median(after) - np.median(before)), spread


def _midmean(values: Floats) -> Floats:
    """Return the mean of the middle half: as deaf to outliers as a median, and steadier."""
    count = values.shape[-1]
    middle: Floats = np.sort(values, axis=-1)[..., count // 4 : count - count // 4].mean(axis=-1)
    return middle


def _resampled(values: Floats, generator: np.random.Generator) -> Floats:
    return values[generator.integers(0, len(values), (_RESAMPLES, len(values)))]
