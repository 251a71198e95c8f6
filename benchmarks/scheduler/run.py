"""Asks where the shipped scheduler beats others, and where it loses and to whom, in a simulation that is the same for all.

3 curves by 8 workloads by 10 seeds against 14 baselines and a bound, the other curves and workloads with 2 seeds: `python
benchmarks/scheduler/run.py` prints the report, `--write` also keeps it in docs/benchmarks/scheduler.md, with plots beside it;
under an hour on 2 cores. `--quick` has 2 seeds and short horizons, and takes under 2 minutes.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Final, TypeVar

from simulator.experiment import Answer, Static, answer
from simulator.plan import QUICK, Plan
from simulator.report import charts, markdown
from simulator.results import Pair, Results
from simulator.special import ask
from simulator.tuning import tune

_DOCS: Final = Path(__file__).parents[2] / "docs" / "benchmarks"
_SAID_EVERY: Final = 20

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
Statics = Mapping[Pair, tuple[tuple[float, Static], ...]]


def main() -> int:
    """Run everything and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="2 seeds and short horizons: a glance, no figures to quote")
    parser.add_argument("--write", action="store_true", help="keep the report and the plots under docs/benchmarks")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; they change no figure")
    arguments = parser.parse_args()
    results = carried_out(
        QUICK if arguments.quick else Plan(), arguments.jobs, "python benchmarks/scheduler/run.py" + " --quick" * arguments.quick
    )
    text = markdown(results)
    print(text)
    if arguments.write:
        write(results, text)
    return 0


def carried_out(plan: Plan, jobs: int, command: str) -> Results:
    """Tune the static baseline, run all cases and put all questions."""
    began = time.monotonic()
    with get_context("fork").Pool(jobs) as pool:
        statics: dict[Pair, tuple[tuple[float, Static], ...]] = {}
        for tuned in _each(pool, "settings", tune, plan.tunings()):
            pair = tuned.tuning.curve, tuned.tuning.workload
            statics[pair] = (*statics.get(pair, ()), (tuned.tuning.load, tuned.static))
        answered = _each(pool, "cases", answer, plan.cases(statics))
        asked = _each(pool, "questions", ask, plan.questions())
    return Results(plan, by_pair(answered), asked, time.monotonic() - began, jobs, command)


def by_pair(answered: Sequence[Answer]) -> dict[Pair, dict[str, list[Answer]]]:
    """Return answers by curve and workload, then by policy, in the order of seeds."""
    pairs: dict[Pair, dict[str, list[Answer]]] = {}
    for each in answered:
        pairs.setdefault((each.case.curve, each.case.workload), {}).setdefault(each.case.policy, []).append(each)
    return pairs


def write(results: Results, text: str) -> None:
    """Keep the report and its plots."""
    folder = _DOCS / "scheduler"
    folder.mkdir(parents=True, exist_ok=True)
    (_DOCS / "scheduler.md").write_text(text, "utf-8")
    for name, chart in charts(results).items():
        (folder / name).write_text(chart.svg(), "utf-8")


def _each(pool: Pool, what: str, do: Callable[[_Task], _Result], tasks: Sequence[_Task]) -> list[_Result]:
    """Do all tasks in any order, and return their results in the order of the tasks."""
    began, said = time.monotonic(), 0.0
    results: list[_Result] = []
    for result in pool.imap(do, tasks):
        results.append(result)
        if time.monotonic() - said > _SAID_EVERY:
            said = time.monotonic()
            print(f"{len(results)} of {len(tasks)} {what} after {said - began:.0f} s", file=sys.stderr, flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main())
