"""Looks for the highest rate at which every threshold is kept."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from penstock.bench.arrivals import Constant, Poisson
from penstock.bench.plan import Plan
from penstock.bench.result import Round, Sweep, SweepPoint, figures_of
from penstock.bench.run import doubts
from penstock.bench.thresholds import Threshold, judged

_CLOSE: Final = 1.05
"""Two rates are told apart until they are this close."""
_LEAST_RATE: Final = 1.0
_MOST_RATE: Final = 1e6

Measure = Callable[[Plan], Round]


def sweep(plan: Plan, thresholds: Sequence[Threshold], measure: Measure) -> tuple[Sweep, Round]:
    """Return what was found, and the round at the highest rate that was kept, or if none was, at the lowest.

    Begins at the plan's rate, doubles it until a threshold breaks (or halves it until all are kept), then halves the
    distance between the best rate and the worst. A rate that cannot be sent is not kept.
    """
    points: dict[float, SweepPoint] = {}
    rounds: dict[float, Round] = {}

    def is_kept(rate: float) -> bool:
        rounds[rate] = measure(at_rate(plan, rate))
        points[rate] = _point(rate, rounds[rate], thresholds)
        return points[rate].kept

    highest = search(_rate(plan), is_kept)
    shown = highest if highest is not None else min(rounds)
    return Sweep(tuple(points[rate] for rate in sorted(points)), highest), rounds[shown]


def search(start: float, is_kept: Callable[[float], bool]) -> float | None:
    """Return the highest rate that is kept, to within 5 %; None if not even one request per second is."""
    kept, broken = _bracket(start, is_kept)
    if kept is None or broken is None:
        return kept
    while broken / kept > _CLOSE:
        middle = (kept * broken) ** 0.5
        if is_kept(middle):
            kept = middle
        else:
            broken = middle
    return kept


def at_rate(plan: Plan, rate: float) -> Plan:
    """Return the plan with another rate."""
    return msgspec.structs.replace(plan, load=msgspec.structs.replace(plan.load, rate=rate))


def _bracket(start: float, is_kept: Callable[[float], bool]) -> tuple[float | None, float | None]:
    """Return a rate that is kept and the double of it, which is not; None for one that there is not."""
    rate = start
    if is_kept(rate):
        while rate < _MOST_RATE and is_kept(rate * 2):
            rate *= 2
        return rate, rate * 2 if rate < _MOST_RATE else None
    while rate > _LEAST_RATE:
        rate /= 2
        if is_kept(rate):
            return rate, rate * 2
    return None, rate


def _rate(plan: Plan) -> float:
    assert isinstance(plan.load, (Constant, Poisson))  # noqa: S101 - the command line sees to it
    return plan.load.rate


def _point(rate: float, measured: Round, thresholds: Sequence[Threshold]) -> SweepPoint:
    broken = [verdict.threshold for verdict in judged(thresholds, measured) if not verdict.kept]
    why = "; ".join([*doubts(measured), *broken])
    return SweepPoint(rate, not why, figures_of(measured), why)
