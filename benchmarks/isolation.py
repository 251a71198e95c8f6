"""What a worker process costs beside a thread: `python benchmarks/isolation.py`, about half a minute.

The same graph in this process and in a worker process, run in turn on batches of several sizes, from one thread. The figure is the time
of a run in the worker less that of a run here: copying to shared memory and back, two frames, two wake-ups. Rounds alternate, so that
whatever else the machine does meets both; the least round counts, for a stranger's work only adds.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from time import perf_counter_ns, thread_time_ns
from typing import Any, Final, NamedTuple

import numpy as np
from harness import ROOT, environment, load_file

from penstock.domain.session import Session
from penstock.execution.devices import Device
from penstock.execution.isolated_session import IsolatedSession
from penstock.execution.memory import settle_heap
from penstock.execution.session import OrtSession, SessionSettings
from penstock.execution.worker_process import WorkerOrder

_ROUNDS: Final = 15
_RUNS: Final = 300
_BUDGET_US: Final = 150.0
_SIZES: Final = ((1, 64), (32, 64), (1, 4096), (16, 16_384), (64, 65_536))
"""Rows and columns of FP32: 256 bytes, 8 KiB, 16 KiB, 1 MiB, 16 MiB."""


class Figure(NamedTuple):
    """The runs of one round."""

    p50_us: float
    cpu_us: float
    """Of the calling thread."""


def one_round(session: Session, inputs: Mapping[str, Any], runs: int) -> Figure:
    """Run again and again."""
    times, cpu_ns = [], thread_time_ns()
    for _ in range(runs):
        started = perf_counter_ns()
        session.run(inputs, ["Y"])
        times.append(perf_counter_ns() - started)
    return Figure(median(times) / 1000, (thread_time_ns() - cpu_ns) / runs / 1000)


def compare(here: Session, there: Session, rows: int, columns: int) -> str:
    """Return one line about a batch of that size."""
    inputs = {"X": np.random.default_rng(1).normal(size=(rows, columns)).astype(np.float32)}
    runs = _RUNS if inputs["X"].nbytes < 1 << 20 else max(10, (_RUNS << 18) // inputs["X"].nbytes)
    for session in (here, there):
        one_round(session, inputs, 20)
    pairs = [(one_round(here, inputs, runs), one_round(there, inputs, runs)) for _ in range(_ROUNDS)]
    thread, process = min(one.p50_us for one, _ in pairs), min(other.p50_us for _, other in pairs)
    more = median([other.p50_us - one.p50_us for one, other in pairs])
    verdict = "" if inputs["X"].nbytes > 1 << 14 else "   ok" if process - thread <= _BUDGET_US else f"   above {_BUDGET_US:.0f}"
    size = f"{rows} x {columns}"
    return f"{size:>12} {thread:10.1f} {process:10.1f} {process - thread:10.1f} {more:12.1f} {process / thread:8.1f}{verdict}"


def main() -> None:
    """Print a line for each size."""
    build = load_file("build", ROOT / "tests" / "models" / "build.py")
    settle_heap()  # as a server does
    print(environment())
    print(f"{'batch':>12} {'thread us':>10} {'process us':>10} {'more us':>10} {'median more':>12} {'ratio':>8}")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.onnx"
        build.save(build.parse("double (float[batch,n] X) => (float[batch,n] Y) { Y = Add (X, X) }"), path.parent)
        settings = SessionSettings(Device("cpu"))
        here, there = OrtSession(path, settings), IsolatedSession(WorkerOrder(path, settings, None, 60.0))
        try:
            for rows, columns in _SIZES:
                print(compare(here, there, rows, columns))
        finally:
            there.close()


if __name__ == "__main__":
    main()
