"""What the model itself costs: one row through a bare `session.run`, in a loop, on the server's core."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from harness import Row, cores, example_row, pinned

_TIMES = 20_000


class BareRun(NamedTuple):
    """What one run takes."""

    cpu_us: float
    p50_us: float


def bare_run(model: Path, row: np.ndarray[Any, np.dtype[np.float32]] | None = None, times: int = _TIMES) -> BareRun:
    """Run the model alone, with one thread, as the server does; its input is X, its output Y."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    inputs = {"X": example_row() if row is None else row}
    with pinned(cores()[0]):
        for _ in range(times // 10):
            session.run(["Y"], inputs)
        before = time.thread_time()
        for _ in range(times):
            session.run(["Y"], inputs)
        cpu_us = (time.thread_time() - before) / times * 1e6
        taken = []
        for _ in range(times // 10):
            started = time.perf_counter()
            session.run(["Y"], inputs)
            taken.append(time.perf_counter() - started)
    return BareRun(cpu_us, float(np.median(taken)) * 1e6)


def measure(bare: BareRun) -> list[Row]:
    """Return the baseline of all other figures."""
    return [Row("bare session.run, CPU", bare.cpu_us, "us", beside=f"p50 {bare.p50_us:.1f} us")]
