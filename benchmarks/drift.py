"""What watching for drift costs: `python benchmarks/drift.py`, about half a minute.

Rows of 64 features, FP32: in the sketch alone, in batches of several sizes; and through all that the server does, from the end of a run on
the event loop to the counts, with requests of several sizes. CPU time of the thread, the median over interleaved rounds. The baseline
copies the same rows, the least that anything does that looks at every value.
"""

import gc
from collections.abc import Callable, Sequence
from statistics import median
from time import thread_time_ns
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.monitoring.columns import sides_of
from penstock.monitoring.drift import DriftJudge
from penstock.monitoring.options import MonitoringOptions
from penstock.monitoring.reference import Reference, reference_of
from penstock.monitoring.side_watch import SideWatch
from penstock.monitoring.sketch import DriftSketch
from penstock.monitoring.version_watch import MOST_ROWS, VersionWatch

_FEATURES: Final = 64
_ROWS: Final = 4 * MOST_ROWS
_ROUNDS: Final = 9
_BUDGET_US: Final = 2.0
_FP32: Final = DATATYPES["FP32"]
Rows = NDArray[np.float32]


def us_a_row(work: Callable[[Any], object], parts: Sequence[Any]) -> float:
    """Return microseconds of CPU for each row."""
    began = thread_time_ns()
    for part in parts:
        work(part)
    return (thread_time_ns() - began) / 1000 / _ROWS


def main() -> None:
    """Print tables, and what judging a window costs."""
    source = np.random.default_rng(1)
    sample = source.standard_normal((5000, _FEATURES), np.float32)
    reference = reference_of([f"X.{number}" for number in range(_FEATURES)], sample)
    rows = source.standard_normal((_ROWS, _FEATURES), np.float32)
    print(f"{_FEATURES} features, FP32, us of CPU per row; the budget is {_BUDGET_US} us")
    sketched(reference, rows)
    served(reference, rows)


def sketched(reference: Reference, rows: Rows) -> None:
    """Print what the sketch alone takes."""
    sketch, judge = DriftSketch(reference), DriftJudge(reference)
    print(f"{'rows a batch':>16} {'counted':>8} {'copied':>8} {'budget':>8}")
    for size in (1, 8, 64, 255, 1020):
        batches = [rows[start : start + size] for start in range(0, _ROWS, size)]
        rounds = [(us_a_row(sketch.add, batches), us_a_row(np.ndarray.copy, batches)) for _ in range(_ROUNDS)]
        counted, copied = (median(column) for column in zip(*rounds, strict=True))
        print(f"{size:>16} {counted:>8.3f} {copied:>8.3f} {counted / _BUDGET_US:>7.2f}x")
    print(f"judging a window: {median(judging_us(judge, sketch) for _ in range(_ROUNDS)):,.0f} us, whatever its length")


def served(reference: Reference, rows: Rows) -> None:
    """Print what the server does for each row, on the event loop and on the thread, judging windows of 1,000 rows included."""
    watch = watch_of(reference)
    print(f"{'rows a request':>16} {'on loop':>8} {'thread':>8} {'budget':>8}")
    for size in (1, 8, 64):
        runs = [[ticket(part) for part in np.array_split(run, max(1, 16 // size))] for run in runs_of(rows, max(16, size))]
        gc.collect()
        gc.freeze()  # a server has no tickets by the thousand for the collector to look at
        rounds = [round_of(watch, runs) for _ in range(_ROUNDS)]
        loop, thread = (median(column) for column in zip(*rounds, strict=True))
        print(f"{size:>16} {loop:>8.3f} {thread:>8.3f} {(loop + thread) / _BUDGET_US:>7.2f}x")


def round_of(watch: VersionWatch, runs: Sequence[Sequence[Any]]) -> tuple[float, float]:
    """Return microseconds for each row on the event loop and on the thread, which comes by whenever as much waits as may."""
    loop = thread = 0.0
    fill = max(1, len(runs) * MOST_ROWS // _ROWS)
    for start in range(0, len(runs), fill):
        loop += us_a_row(watch, runs[start : start + fill])
        thread += us_a_row(watch.count, [watch.take()])
    assert not watch.dropped, "everything was counted"
    return loop, thread


def watch_of(reference: Reference) -> VersionWatch:
    """Return what watches the inputs of a model of one input."""
    options = MonitoringOptions()
    sides = sides_of(ModelSchema((TensorSpec("X", _FP32, (-1, _FEATURES)),), (TensorSpec("Y", _FP32, (-1, 1)),), batched=True), options, {})
    return VersionWatch(SideWatch(sides.inputs, options, published=reference), SideWatch(sides.outputs, options), {})


def runs_of(rows: Rows, size: int) -> list[Rows]:
    """Return the rows of each run."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def ticket(rows: Rows) -> Any:  # noqa: ANN401 - as much of a ticket as is looked at
    """Return an answered prediction."""
    request = SimpleNamespace(inputs=[Tensor("X", _FP32, rows)])
    return SimpleNamespace(
        arm="stable", request=request, response=SimpleNamespace(outputs=[Tensor("Y", _FP32, rows[:, :1])], batch_rows=max(16, len(rows)))
    )


def judging_us(judge: DriftJudge, sketch: DriftSketch) -> float:
    """Return microseconds of CPU for one window."""
    began = thread_time_ns()
    judge.judge(sketch.tally())
    return (thread_time_ns() - began) / 1000


if __name__ == "__main__":
    main()
