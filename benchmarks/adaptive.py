"""Adaptive batching on a live server: `python benchmarks/adaptive.py`, about seven minutes.

A network of convolutions takes 5 to 20 ms for an image. Asked: at a tenth of the capacity, is it as fast as without batching; at twice
the capacity, does goodput hold, are refusals quick, and do the admitted keep the target; and how well were the run times predicted.
"""

import os
import statistics
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from bound import interval
from harness import ROOT, load_file
from open_loop import Answer, Asked, OpenLoop, poisson, quantile

SLO_MS: Final = 200
_SIDE, _CHANNELS, _LAYERS = 32, 96, 4
_PAIRS: Final = 10
_LOW_S: Final = 4.0
STEADY_S: Final = 60.0
Server = Any  # tests/clients/server_process.py is loaded by its path


def write_model(registry: Path) -> Path:
    """Write the network; returns the path of its file."""
    path = registry / "image" / "1" / "model.onnx"
    steps = [f"c{i} = Conv <pads = [1, 1, 1, 1]> (h{i}, W{i})\n h{i + 1} = Relu (c{i})" for i in range(_LAYERS)]
    body = "\n".join(["h0 = Identity (X)", *steps, f"Y = ReduceMean <axes = [2, 3], keepdims = 0> (h{_LAYERS})"])
    graph = f"image (float[batch,3,{_SIDE},{_SIDE}] X) => (float[batch,{_CHANNELS}] Y) {{ {body} }}"
    source, ins = np.random.default_rng(7), [3] + [_CHANNELS] * (_LAYERS - 1)
    weights = {f"W{i}": (source.normal(size=(_CHANNELS, ins[i], 3, 3)) / 30).astype(np.float32) for i in range(_LAYERS)}
    load_file("build", ROOT / "tests" / "models" / "build.py").write_graph(graph, path, weights)
    return path


def question(_: int = 0) -> Asked:
    """Return a prediction of one image, its tensors behind a JSON head."""
    image = np.random.default_rng(11).normal(size=(1, 3, _SIDE, _SIDE)).astype(np.float32)
    tensor = {"name": "X", "shape": list(image.shape), "datatype": "FP32", "parameters": {"binary_data_size": image.nbytes}}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    return Asked("/v2/models/image/infer", {"Inference-Header-Content-Length": str(len(head))}, head + image.tobytes())


def offered(server: Server, rate: float, seconds: float, seed: int) -> list[Answer]:
    """Return the answers to Poisson arrivals at that rate."""
    asked = question()
    return OpenLoop(server.http, lambda _: asked).run(poisson(rate, seconds, seed))


def goodput(answers: list[Answer], seconds: float) -> float:
    """Return the answers per second that came within the target."""
    return sum(answer.status == 200 and answer.took_s * 1000 <= SLO_MS for answer in answers) / seconds


@contextmanager
def serve(*settings: str) -> Iterator[Server]:
    """Serve the model from a process of its own."""
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        write_model(Path(name) / "models")
        with processes.running(Path(name) / "models", Path(name), f"models.image.slo_ms={SLO_MS}", *settings) as server:
            yield server


def low_load(adaptive: Server, off: Server, rate: float) -> tuple[float, float, tuple[float, float]]:
    """Return the median p50 of both in ms, and the 95 % interval of their paired difference beyond 5 % of the latter."""
    ours, theirs = [], []
    for seed in range(_PAIRS):
        for server, seen in ((adaptive, ours), (off, theirs)) if seed % 2 else ((off, theirs), (adaptive, ours)):
            seen.append(1000 * quantile([answer.came_s for answer in offered(server, rate, _LOW_S, seed)], 0.5))
    beyond = [one - 1.05 * other for one, other in zip(ours, theirs, strict=True)]
    return statistics.median(ours), statistics.median(theirs), interval(beyond)


def capacity(server: Server) -> float:
    """Return the peak goodput over rising rates, per second."""
    best, rate = 0.0, 50.0
    while rate < 20_000:
        seen = goodput(offered(server, rate, 4.0, int(rate)), 4.0)
        if seen < 0.8 * best or seen < 0.5 * rate:
            return max(best, seen)
        best, rate = max(best, seen), rate * 1.3
    return best


def prediction_error(server: Server, rate: float) -> tuple[float, int]:
    """Return the median |actual - predicted| / predicted of the batches of a steady minute, in percent, and how many were looked at."""
    errors: dict[float, float] = {}
    for part in range(int(STEADY_S)):
        offered(server, rate, 1.0, part)
        asked = urllib.request.Request(
            f"http://{server.admin}/admin/models/image/batches", headers={"Authorization": f"Bearer {server.token}"}
        )
        with urllib.request.urlopen(asked, timeout=20) as answer:
            (version,) = orjson.loads(answer.read())["versions"]
        errors |= {batch["at"]: abs(batch["error_percent"]) for batch in version["batches"] if batch["error_percent"] is not None}
    return statistics.median(errors.values()), len(errors)


def overload(server: Server, rate: float, peak: float) -> list[str]:
    """Return lines about twice the capacity."""
    seconds = 20.0
    answers = offered(server, rate, seconds, 5)
    admitted = [1000 * answer.took_s for answer in answers if answer.status == 200]
    refused = [1000 * answer.took_s for answer in answers if answer.status == 429]
    good = goodput(answers, seconds)
    others = len(answers) - len(admitted) - len(refused)
    times = f"p50 {quantile(admitted, 0.5):.0f} ms, p99 {quantile(admitted, 0.99):.0f} ms (wanted <= {SLO_MS} ms)"
    quick = f"p50 {quantile(refused, 0.5):.1f} ms, p99 {quantile(refused, 0.99):.1f} ms (wanted < 20 ms)"
    return [
        f"200 %: {rate:,.0f}/s offered, goodput {good:,.0f}/s = {100 * good / peak:.0f} % of the peak (wanted >= 90 %)",
        f"200 %: {len(refused):,} refused, {quick}",
        f"200 %: {len(admitted):,} admitted, {times}, {others} other answers",
    ]


def main() -> None:
    """Measure and print."""
    print(f"target {SLO_MS} ms; server and generator share {len(os.sched_getaffinity(0))} cores", flush=True)
    with serve() as adaptive, serve('models.image.batching="off"') as off:
        for server in (adaptive, off):
            offered(server, 20, 2.0, 1)
        bare = capacity(off)
        ours, theirs, (low, high) = low_load(adaptive, off, bare / 10)
        print(f"without batching: goodput {bare:,.0f}/s", flush=True)
        print(
            f"10 %: p50 {ours:.2f} ms, {theirs:.2f} ms without batching; beyond 5 %: {low:+.2f} to {high:+.2f} ms (wanted < 0.3 ms)",
            flush=True,
        )
    with serve() as adaptive:
        peak = capacity(adaptive)
        print(f"peak goodput {peak:,.0f}/s, {peak / bare:.1f}x that without batching", flush=True)
        print("\n".join(overload(adaptive, 2 * peak, peak)), flush=True)
    with serve() as adaptive:
        error, batches = prediction_error(adaptive, peak / 2)
        print(f"predicted against real: median error {error:.1f} % of {batches:,} batches in {STEADY_S:.0f} s at 50 % (wanted < 10 %)")


if __name__ == "__main__":
    main()
