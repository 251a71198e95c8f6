"""Batching under poison and callers who leave, on a live server: `python benchmarks/faults.py`, about two minutes.

A model that looks rows of a table up fails on an index beyond it, and with it everything else in the batch. At 80 % of the capacity one
request in a hundred is such a one: every other must be answered, and the runs that it takes to find the offenders are counted. Then
one caller in twenty leaves before the answer: the ledger must close.
"""

import math
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from harness import ROOT, load_file
from open_loop import Answer, Asked, OpenLoop, poisson

Server = Any  # tests/clients/server_process.py is loaded by its path
_ROWS, _WIDTH, _LAYERS = 1000, 1024, 3
SECONDS: Final = 20.0
POISON_EVERY: Final = 100
LEAVE_EVERY: Final = 20
_SAMPLE: Final = re.compile(r'^penstock_batches_total\{.*reason="(\w+)".*\} (\S+)$', re.MULTILINE)


def write_model(registry: Path) -> Path:
    """Write the model; returns the path of its file."""
    path = registry / "lookup" / "1" / "model.onnx"
    steps = [f"l{i} = MatMul (h{i}, W{i})\n h{i + 1} = Relu (l{i})" for i in range(_LAYERS)]
    body = "\n".join(["h0 = Gather <axis = 0> (T, X)", *steps, f"Y = Identity (h{_LAYERS})"])
    graph = f"lookup (int64[batch] X) => (float[batch,{_WIDTH}] Y) {{ {body} }}"
    source = np.random.default_rng(7)
    weights = {f"W{i}": (source.normal(size=(_WIDTH, _WIDTH)) / 32).astype(np.float32) for i in range(_LAYERS)}
    weights["T"] = source.normal(size=(_ROWS, _WIDTH)).astype(np.float32)
    load_file("build", ROOT / "tests" / "models" / "build.py").write_graph(graph, path, weights)
    return path


@contextmanager
def serve() -> Iterator[Server]:
    """Serve the model from a process of its own."""
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        write_model(Path(name) / "models")
        with processes.running(Path(name) / "models", Path(name), "models.lookup.slo_ms=2000") as server:
            yield server


def question(number: int, *, poison: bool = False) -> Asked:
    """Return a prediction of one row, its answer as bytes."""
    tensor = {"name": "X", "shape": [1], "datatype": "INT64", "data": [_ROWS if poison else number % _ROWS]}
    body = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    return Asked("/v2/models/lookup/infer", {"Content-Type": "application/json"}, body)


def capacity(server: Server) -> float:
    """Return the answers per second that rising rates reach before the queue grows."""
    best, rate = 0.0, 100.0
    while rate < 5_000:
        answers = OpenLoop(server.http, question).run(poisson(rate, 3.0, int(rate)))
        done = sum(answer.status == 200 for answer in answers) / max(answer.due_s + answer.took_s for answer in answers)
        if done < 1.05 * best:
            return best
        best, rate = max(best, done), 1.4 * rate
    return best


def poison(server: Server, rate: float) -> list[str]:
    """Return lines about one poisoned request in a hundred."""
    bad = {number for number in range(int(rate * SECONDS)) if number % POISON_EVERY == POISON_EVERY // 2}
    before = batches(server)
    loop = OpenLoop(server.http, lambda number: question(number, poison=number in bad))
    answers = loop.run(poisson(rate, SECONDS, 3))
    seen = batches(server) - before
    rows = len(answers) / max(1, seen.total() - seen["rerun"])
    statuses = Counter(answer.status for answer in answers)
    extra = seen["rerun"] / len(bad)
    return [
        f"poison: {len(answers):,} at {rate:,.0f}/s, {len(bad)} of them bad; answers by status {dict(statuses)}",
        f"poison: good requests answered {statuses[200]} of {len(answers) - len(bad)} (wanted all)",
        f"poison: {extra:.1f} more runs for each offender, in batches of {rows:.1f} rows; 2 log2 of the largest is {bound(server):.1f}",
    ]


def bound(server: Server) -> float:
    """Return 2 log2 of the largest batch that the histogram of sizes has seen."""
    sizes = re.findall(r'^penstock_batch_size_bucket\{.*le="([0-9.]+)".*\} (\S+)$', server.metrics(), re.MULTILINE)
    most = max(float(count) for _, count in sizes)
    return 2 * math.log2(min(float(edge) for edge, count in sizes if float(count) >= most and edge != "+Inf"))


def batches(server: Server) -> Counter[str]:
    """Return the batches so far, by why they started."""
    seen: Counter[str] = Counter()
    for reason, count in _SAMPLE.findall(server.metrics()):
        seen[reason] += int(float(count))
    return seen


def leavers(server: Server, rate: float) -> list[str]:
    """Return lines about one caller in twenty who leaves."""
    loop = OpenLoop(server.http, question)
    answers: list[Answer] = loop.run(poisson(rate, SECONDS, 4), lambda number: 0.002 if number % LEAVE_EVERY == 0 else None)
    time.sleep(1.0)
    received, outcomes = server.ledger()
    open_ones = sum(received.values()) - sum(outcomes.values())
    ends = {outcome: count for (_, _, outcome), count in outcomes.items()}
    return [
        f"leavers: {len(answers):,} answered, {loop.cut} left, statuses {dict(Counter(answer.status for answer in answers))}",
        f"leavers: ledger {sum(received.values()):,} received, ends {ends}, {open_ones} open (wanted 0)",
    ]


def main() -> None:
    """Measure and print."""
    with serve() as server:
        OpenLoop(server.http, question).run(poisson(50, 2.0, 1))
        best = capacity(server)
        print(f"capacity {best:,.0f}/s; server and generator share {len(os.sched_getaffinity(0))} cores", flush=True)
        print("\n".join(poison(server, 0.8 * best)), flush=True)
        print("\n".join(leavers(server, 0.8 * best)))


if __name__ == "__main__":
    main()
