"""What watching for drift costs for each row: `python benchmarks/drift.py`, some seconds.

Rows of 64 features are counted in batches of several sizes; CPU time of the thread, the median over interleaved rounds. The baseline
copies the same rows, the least that anything does that looks at every value.
"""

from collections.abc import Callable
from statistics import median
from time import thread_time_ns
from typing import Final

import numpy as np
from numpy.typing import NDArray

from penstock.monitoring.drift import DriftJudge
from penstock.monitoring.reference import reference_of
from penstock.monitoring.sketch import DriftSketch

_FEATURES: Final = 64
_ROWS: Final = 16_384
_ROUNDS: Final = 9
_BUDGET_US: Final = 2.0


def cpu_us(work: Callable[[NDArray[np.float32]], object], batches: list[NDArray[np.float32]]) -> float:
    """Return microseconds of CPU for each row."""
    began = thread_time_ns()
    for batch in batches:
        work(batch)
    return (thread_time_ns() - began) / 1000 / _ROWS


def main() -> None:
    """Print a table, and what judging a window costs."""
    source = np.random.default_rng(1)
    sample = source.standard_normal((5000, _FEATURES), np.float32)
    reference = reference_of([f"feature {number}" for number in range(_FEATURES)], sample)
    rows = source.standard_normal((_ROWS, _FEATURES), np.float32)
    sketch, judge = DriftSketch(reference), DriftJudge(reference)
    print(f"{_FEATURES} features, FP32, us of CPU per row; the budget is {_BUDGET_US} us")
    print(f"{'rows a batch':>12} {'counted':>8} {'copied':>8} {'budget':>8}")
    for size in (1, 8, 64, 255, 1020):
        batches = [rows[start : start + size] for start in range(0, _ROWS, size)]
        rounds = [(cpu_us(sketch.add, batches), cpu_us(np.ndarray.copy, batches)) for _ in range(_ROUNDS)]
        counted, copied = (median(column) for column in zip(*rounds, strict=True))
        print(f"{size:>12} {counted:>8.3f} {copied:>8.3f} {counted / _BUDGET_US:>7.2f}x")
    print(f"judging a window: {median(judging_us(judge, sketch) for _ in range(_ROUNDS)):,.0f} us, whatever its length")


def judging_us(judge: DriftJudge, sketch: DriftSketch) -> float:
    """Return microseconds of CPU for one window."""
    began = thread_time_ns()
    judge.judge(sketch.tally())
    return (thread_time_ns() - began) / 1000


if __name__ == "__main__":
    main()
