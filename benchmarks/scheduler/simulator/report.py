"""The report as Markdown: one table of gates that prints losses too, then what every policy did."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from simulator import curves, workloads
from simulator.catalogue import BOUND, OURS, POLICIES
from simulator.chart import Chart
from simulator.experiment import LOADS, Answer
from simulator.gates import LOST, MISSED, Answers, Judged, Measure
from simulator.intervals import short
from simulator.introduction import introduction
from simulator.results import Results
from simulator.row import MS
from simulator.special import Figure, Question
from simulator.tables import table

_DRAWN: Final = (OURS, "size + timeout, tuned", "Triton, greedy", "TF shared", "BentoML", "Nexus", "Symphony, gate", BOUND)
_HEAD: Final = ("curve", "workload", "gate", "ours", "beside", "of", "gain", "verdict")
_CHARTED: Final = ("Poisson", "Gamma, CV 4")


def markdown(results: Results) -> str:
    """Return the whole report."""
    return "\n".join(_parts(results)).rstrip() + "\n"


def charts(results: Results) -> Mapping[str, Chart]:
    """Return the plots by file name."""
    drawn: dict[str, Chart] = {}
    for curve in curves.MAIN:
        for workload in _CHARTED:
            answers = results.answers[curve.name, workload]
            stem = f"{curve.name}-{workload}".lower().replace(", ", "-").replace(" ", "-")
            drawn[f"goodput-{stem}.svg"] = _goodput_chart(curve, workload, answers)
            drawn[f"p99-{stem}.svg"] = _p99_chart(curve, workload, answers)
    return drawn


def _parts(results: Results) -> Iterator[str]:
    yield from introduction(results)
    main, others = results.main(), results.others()
    yield "## Where it loses, and to whom\n"
    yield from _losses(main)
    yield "\n## The gates\n"
    yield "Means over the seeds, with intervals; `gain` is ours less the rival's, seed by seed, positive where ours is better.\n"
    yield table(_HEAD, main)
    if others:
        yield f"\n## The rest, with {results.plan.other_seeds} seeds\n"
        yield from _losses(others)
        yield ""
        yield table(_HEAD, others)
    yield "\n## Every policy\n"
    for curve in curves.MAIN:
        yield from _everybody(curve, results)
    yield "## Questions of their own\n"
    yield from _special(results.asked)


def _losses(lines: Sequence[Judged]) -> Iterator[str]:
    counts = Counter(line.verdict for line in lines if line.verdict)
    yield f"{len(lines)} figures: {', '.join(f'{count} {verdict}' for verdict, count in sorted(counts.items()))}.\n"
    groups: dict[tuple[str, str, str], list[str]] = {}
    for line in lines:
        if line.verdict in {LOST, MISSED}:
            groups.setdefault((line.verdict, line.gate, line.rival), []).append(f"{line.curve} / {line.workload}")
    rows = [(*group, len(where), "; ".join(where)) for group, where in sorted(groups.items())]
    yield table(("verdict", "gate", "beside", "times", "where"), rows)


def _everybody(curve: curves.Curve, results: Results) -> Iterator[str]:
    names = [workload.name for workload in workloads.MAIN]
    measures: tuple[tuple[str, Measure], ...] = (
        ("sustained load, %", lambda answer: 100 * answer.sustained),
        ("answered in time at 90 %, %", lambda answer: 100 * answer.figures[0.9].share),
        ("answered in time at 200 %, % (50 would be all the device can do)", lambda answer: 100 * answer.figures[2.0].share),
        ("p99 at 50 %, ms", lambda answer: answer.figures[0.5].p99_ms),
    )
    for title, measure in measures:
        yield f"### {curve.name}: {title}\n"
        by_workload = [results.answers[curve.name, name] for name in names]
        rows = [(policy, *(short(_mean(answers[policy], measure)) for answers in by_workload)) for policy in (*POLICIES, BOUND)]
        yield table(("policy", *names), rows)
        yield ""
    for name in _CHARTED:
        stem = f"{curve.name}-{name}".lower().replace(", ", "-").replace(" ", "-")
        yield f"![Goodput over load](scheduler/goodput-{stem}.svg)\n"
        yield f"![p99 over load](scheduler/p99-{stem}.svg)\n"


def _special(asked: Sequence[tuple[Question, list[Figure]]]) -> Iterator[str]:
    for name in dict.fromkeys(question.name for question, _ in asked):
        seen: dict[str, dict[str, list[float]]] = {}
        for question, figures in asked:
            for policy, what, value in figures if question.name == name else ():
                seen.setdefault(policy, {}).setdefault(what, []).append(value)
        columns = list(dict.fromkeys(what for each in seen.values() for what in each))
        rows = [(policy, *(short(float(np.mean(each[what]))) if what in each else "" for what in columns)) for policy, each in seen.items()]
        yield f"### {_TITLES[name]}\n"
        yield table(("policy", *columns), rows)
        yield ""


_TITLES: Final = {
    "recovery": "Recovery: GPU-like, 50, 150 and 50 % load; objectives until no row waits for more than half of one (gate: 2)",
    "poison": "Poison: callers who wait, as reruns need room",
    "fairness": "Fairness: 20 models by Zipf's law on one device, one of them flooded (gate: victims' p99 <= 1.5 x, Jain >= 0.95)",
    "closed": "Closed loops: GPU-like, clients without think time, who come back 10 ms after a refusal",
    "estimator": "Estimator: |actual - expected| / expected (gate: 0.1; noise alone makes 0.067), drift recovered from in < 3 s",
}


def _goodput_chart(curve: curves.Curve, workload: str, answers: Answers) -> Chart:
    lines = {policy: _over_load(answers[policy], "goodput") for policy in _DRAWN}
    return Chart(f"{curve.name}, {workload}: rows answered in time", "rows/s", lines)


def _p99_chart(curve: curves.Curve, workload: str, answers: Answers) -> Chart:
    lines = {policy: _over_load(answers[policy], "p99_ms") for policy in _DRAWN if policy != BOUND}
    return Chart(f"{curve.name}, {workload}: p99 of all rows, until 1 % is lost", "ms", lines, 4 * curve.slo_ns / MS)


def _over_load(answers: Sequence[Answer], figure: str) -> list[tuple[float, float]]:
    return [(load, _mean(answers, lambda answer, at=load: getattr(answer.figures[at], figure))) for load in LOADS]  # type: ignore[misc]


def _mean(answers: Sequence[Answer], measure: Measure) -> float:
    return float(np.mean([measure(answer) for answer in answers]))
