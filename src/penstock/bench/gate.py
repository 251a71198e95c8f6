"""Everything that `penstock bench` does between its options and its report: rounds, thresholds, sweep, baseline, verdict."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import reduce
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from penstock.bench.compare import LEAST_ROUNDS, against, compared, interleaved
from penstock.bench.machine import this_machine
from penstock.bench.payloads import bodies_of
from penstock.bench.plan import CannotMeasure, Plan, Target
from penstock.bench.report.files import read
from penstock.bench.report.text import load_in_words
from penstock.bench.result import Comparison, Result, Round, added
from penstock.bench.run import Measure, doubts, measuring, result_of
from penstock.bench.sweep import sweep
from penstock.bench.thresholds import Threshold, judged
from penstock.bench.workers import Watch

_SILENT: Final = "has answered nothing that a run could be compared with"
KEPT: Final = 0
BROKEN: Final = 1
INVALID: Final = 3

Watching = Callable[[str, float], AbstractContextManager[Watch]]
"""Shows the progress of one round, given its title and its seconds."""


class Gate(NamedTuple):
    """A plan and what its result has to satisfy."""

    plan: Plan
    thresholds: tuple[Threshold, ...] = ()
    sweeps: bool = False
    """Whether the plan's rate is only the first of those to be tried."""
    baseline: Path | Target | None = None
    """An earlier result, or another server that is measured in turn with ours."""
    tolerances: Mapping[str, float] = {}


def carry_out(gate: Gate, watching: Watching) -> Result:
    """Measure, judge and compare. Raises `CannotMeasure` before the first request if that cannot be done."""
    if gate.sweeps:
        return _swept(gate, watching)
    match gate.baseline:
        case Path():
            return _beside_file(gate, gate.baseline, watching)
        case Target():
            return _beside_server(gate, gate.baseline, watching)
        case _:
            return _judged(gate, _rounds(gate.plan, watching))


def exit_code(result: Result) -> int:
    """Return 3 for figures that say nothing, 1 if a threshold is broken or a figure worse than the baseline, else 0."""
    if result.invalid:
        return INVALID
    worse = result.comparison is not None and result.comparison.worse
    nothing_found = result.sweep is not None and result.sweep.highest is None
    return BROKEN if worse or nothing_found or not all(verdict.kept for verdict in result.verdicts) else KEPT


def _judged(gate: Gate, rounds: list[Round], comparison: Comparison | None = None) -> Result:
    result = result_of(gate.plan, rounds)
    return msgspec.structs.replace(result, verdicts=judged(gate.thresholds, result.total), comparison=comparison)


def _rounds(plan: Plan, watching: Watching) -> list[Round]:
    with _watched(plan, watching) as measure:
        return [measure() for _ in range(plan.rounds)]


@contextmanager
def _watched(plan: Plan, watching: Watching) -> Iterator[Callable[[], Round]]:
    """Yield what measures one round of the plan and shows its progress."""
    title = f"{plan.target.model} at {plan.target.url}"
    with measuring(plan, bodies_of(plan.target, plan.payload)) as measure:
        yield lambda: _shown(measure, title, plan, watching)


def _shown(measure: Measure, title: str, plan: Plan, watching: Watching) -> Round:
    with watching(title, plan.span_s) as watch:
        return measure(watch)


def _swept(gate: Gate, watching: Watching) -> Result:
    bodies = bodies_of(gate.plan.target, gate.plan.payload)

    def measure_at(plan: Plan) -> Round:
        with measuring(plan, bodies) as measure:
            return _shown(measure, load_in_words(plan.load), plan, watching)

    found, at_best = sweep(gate.plan, gate.thresholds, measure_at)
    # Rates that could not be sent are points of the curve; they do not make the sweep invalid.
    return msgspec.structs.replace(_judged(gate, [at_best]), sweep=found, invalid=())


def _beside_server(gate: Gate, target: Target, watching: Watching) -> Result:
    theirs = msgspec.structs.replace(gate.plan, target=target)
    with _watched(gate.plan, watching) as measure, _watched(theirs, watching) as measure_baseline:
        rounds, baseline = interleaved(gate.plan.rounds, measure, measure_baseline)
    comparison = compared(target.url, baseline, rounds, gate.plan, gate.tolerances, paired=True)
    result = _judged(gate, rounds, comparison)
    total = reduce(added, baseline)
    doubted = [f"the baseline: {why}" for why in doubts(total)] + ([] if total.succeeded else [f"the baseline {_SILENT}"])
    return msgspec.structs.replace(result, invalid=(*result.invalid, *doubted))


def _beside_file(gate: Gate, path: Path, watching: Watching) -> Result:
    earlier = _earlier(path, gate.plan)
    rounds = _rounds(gate.plan, watching)
    return _judged(gate, rounds, against(earlier, str(path), rounds, gate.plan, gate.tolerances))


def _earlier(path: Path, plan: Plan) -> Result:
    try:
        earlier = read(path)
    except (OSError, ValueError) as error:
        raise CannotMeasure(f"the baseline cannot be read: {error}") from error
    if why := _incomparable(earlier, plan):
        raise CannotMeasure(f"the baseline {path} {why}")
    return earlier


def _incomparable(earlier: Result, plan: Plan) -> str | None:
    if earlier.machine != this_machine():
        return f"was measured on another machine ({earlier.machine}); figures of two machines cannot be compared"
    if earlier.invalid:
        return f"is not valid: {earlier.invalid[0]}"
    if not earlier.total.succeeded:
        return _SILENT
    if min(len(earlier.rounds), plan.rounds) < LEAST_ROUNDS:
        return f"has {len(earlier.rounds)} rounds and the run {plan.rounds}; both need {LEAST_ROUNDS} at least: --rounds 5"
    before, now = ((one.load, one.payload, one.target.protocol) for one in (earlier.plan, plan))
    if before != now:
        return "was measured with another load, payload or protocol"
    return None
