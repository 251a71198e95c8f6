"""The gates of the design's section 4.4, judged: ours beside the rival that each gate names, with paired intervals over the seeds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.catalogue import ALONE, BOUND, OURS, TUNED
from simulator.experiment import LOADS, Answer
from simulator.intervals import interval, short
from simulator.metrics import Figures

_PEAK, _OF_BOUND, _WASTE = 0.95, 0.95, 0.02
_PART, _MORE_MS = 1.05, 0.3

OK, LOST, MISSED, EVEN = "ok", "LOSES", "MISSED", "even"

Answers = Mapping[str, Sequence[Answer]]
"""By policy, in the order of seeds: one curve and one workload."""
Measure = Callable[[Answer], float]


class Judged(NamedTuple):
    """One gate of one curve and workload."""

    curve: str
    workload: str
    gate: str
    ours: str
    beside: str
    """What ours is compared with."""
    rival: str
    gain: str
    """How much better ours is, in the mean, with its paired interval."""
    verdict: str


def judged(curve: str, workload: str, answers: Answers) -> list[Judged]:
    """Return the verdicts on all gates."""
    lines = [Judged(curve, workload, *line) for line in _latencies(answers)]
    lines += [Judged(curve, workload, *line) for line in _sustained(workload, answers)]
    lines += [Judged(curve, workload, *line) for line in _goodputs(answers)]
    return lines


def best(answers: Answers, measure: Measure) -> str:
    """Return the policy, beside ours and the bound, with the highest mean of a measure."""
    rivals = [policy for policy in answers if policy not in {OURS, BOUND}]
    return max(rivals, key=lambda policy: float(np.mean([measure(answer) for answer in answers[policy]])))


_Values = npt.NDArray[np.float64]
_Line = tuple[str, str, str, str, str, str]


def _latencies(answers: Answers) -> Iterator[_Line]:
    for name, part in (("p50", 50), ("p99", 99)):
        if 0.1 in _loads(answers):
            yield _idle(f"{name} at 10 %, ms", answers, _latency(part, 0.1))
    for load in (0.5, 0.9):
        if load in _loads(answers):
            yield _against_tuned(load, answers)


def _idle(gate: str, answers: Answers, measure: Measure) -> _Line:
    ours, alone = _values(answers[OURS], measure), _values(answers[ALONE], measure)
    if not np.isfinite(alone).all():
        return gate, str(interval(ours)), "cannot keep up", ALONE, "", OK if np.isfinite(ours).all() else MISSED
    verdict = OK if np.mean(ours) <= _PART * np.mean(alone) + _MORE_MS else MISSED
    return gate, str(interval(ours)), str(interval(alone)), ALONE, str(interval(alone - ours)), verdict


def _against_tuned(load: float, answers: Answers) -> _Line:
    measure = _latency(99, load)
    ours, tuned = _values(answers[OURS], measure), _values(answers[TUNED], measure)
    if np.isfinite(ours).all() and np.isfinite(tuned).all():
        return f"p99 at {load:.0%}, ms", *_compared(ours, tuned, TUNED, -1)
    ours, tuned = (_values(answers[policy], _share(load)) for policy in (OURS, TUNED))
    return f"answered in time at {load:.0%}, %", *_compared(ours, tuned, TUNED)


def _sustained(workload: str, answers: Answers) -> Iterator[_Line]:
    if not all(answer.case.search for answer in answers[OURS]):
        return
    ours, rival = _values(answers[OURS], _load), best(answers, _load)
    yield "sustained load, %", *_compared(ours, _values(answers[rival], _load), rival)
    if BOUND in answers:
        most = _values(answers[BOUND], _load)
        verdict = OK if np.mean(ours) >= _OF_BOUND * np.mean(most) else MISSED
        gate = "sustained load / bound >= 0.95, %" if workload == "Poisson" else "sustained load / bound, %"
        share = 100 * ours / np.maximum(most, 1e-9)
        yield gate, str(interval(share)), str(interval(most)), BOUND, "", verdict if workload == "Poisson" else ""


def _goodputs(answers: Answers) -> Iterator[_Line]:
    peak = max(float(np.mean(_values(answers[OURS], _goodput(load)))) for load in _loads(answers))
    for load in (1.1, 2.0):
        if load not in _loads(answers):
            continue
        ours, rival = _values(answers[OURS], _goodput(load)), best(answers, _goodput(load))
        yield f"goodput at {load:.0%}, rows/s", *_compared(ours, _values(answers[rival], _goodput(load)), rival)
        possible = _possible(answers, load, peak)
        share = interval(100 * ours / possible)
        verdict = OK if share.mean >= 100 * _PEAK else MISSED
        rival = "own peak" if possible == peak else "bound at that load"
        yield f"goodput at {load:.0%} / peak >= 95, %", str(share), short(possible), rival, "", verdict
    wasted = interval(100 * _values(answers[OURS], lambda answer: answer.figures[_loads(answers)[-1]].wasted))
    yield f"wasted at {_loads(answers)[-1]:.0%} < 2, %", str(wasted), "2", "gate", "", OK if wasted.mean < 100 * _WASTE else MISSED


def _possible(answers: Answers, load: float, peak: float) -> float:
    """Return the peak, or what the bound answers at that load if it is less: bursts leave less to answer than a steady load."""
    return min(peak, float(np.mean(_values(answers[BOUND], _goodput(load))))) if BOUND in answers else peak


def _compared(ours: _Values, other: _Values, rival: str, sign: int = 1) -> tuple[str, str, str, str, str]:
    """Return both figures, the paired gain, and whether it lies on one side of nothing."""
    gain = interval(sign * (ours - other))
    verdict = OK if gain.low > 0 or gain.mean == 0 else LOST if gain.high < 0 else EVEN
    return str(interval(ours)), str(interval(other)), rival, str(gain), verdict


def _loads(answers: Answers) -> list[float]:
    return [load for load in LOADS if load in answers[OURS][0].figures]


def _values(answers: Sequence[Answer], measure: Measure) -> _Values:
    return np.array([measure(answer) for answer in answers])


def _load(answer: Answer) -> float:
    return 100 * answer.sustained


def _figures(answer: Answer, load: float) -> Figures:
    return answer.figures[load]


def _latency(percent: int, load: float) -> Measure:
    return lambda answer: _figures(answer, load).p50_ms if percent == 50 else _figures(answer, load).p99_ms


def _share(load: float) -> Measure:
    return lambda answer: 100 * _figures(answer, load).share


def _goodput(load: float) -> Measure:
    return lambda answer: _figures(answer, load).goodput
