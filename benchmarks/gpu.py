"""What batches gain on a GPU: `python benchmarks/gpu.py`, about two minutes; needs onnxruntime-gpu and an NVIDIA GPU.

A hundred layers, 1,024 wide: on a GPU each of them is a launch, so a run of one row takes about as long as one of 64. Asked: how many rows
a second the server answers with batching and without, beside a bare loop that copies, runs and copies back one batch after the other; how
well the run times were predicted; and what is admitted far beyond the capacity of a server without batching.
"""

import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
import orjson
from harness import ROOT, load_file
from http_load import Question, ask
from open_loop import Answer, Asked, OpenLoop, poisson, quantile

WIDTH, LAYERS = 1024, 100
_CALLERS: Final = (1, 8, 64, 256)
_ROUND_S: Final = 3.0
_ROUNDS: Final = 3
_SIZES: Final = (1, 8, 32, 64)
_SLO_MS: Final = 2000
Server = Any  # tests/clients/server_process.py is loaded by its path


def write_model(registry: Path) -> Path:
    """Write the network; returns the path of its file."""
    path = registry / "deep" / "1" / "model.onnx"
    source = np.random.default_rng(3)
    weights = {f"W{layer}": (source.normal(size=(WIDTH, WIDTH)) / 32).astype(np.float32) for layer in range(LAYERS)}
    steps = " ".join(f"m{layer} = MatMul (h{layer}, W{layer}) h{layer + 1} = Tanh (m{layer})" for layer in range(LAYERS))
    graph = f"deep (float[batch,{WIDTH}] h0) => (float[batch,{WIDTH}] h{LAYERS}) {{ {steps} }}"
    load_file("build", ROOT / "tests" / "models" / "build.py").write_graph(graph, path, weights)
    return path


def rows(count: int) -> np.ndarray[Any, Any]:
    """Return seeded rows."""
    return np.random.default_rng(11).normal(size=(count, WIDTH)).astype(np.float32)


@contextmanager
def serve(*settings: str) -> Iterator[Server]:
    """Serve the model on the first GPU, from a process of its own."""
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        write_model(Path(name) / "models")
        fixed = ('models.deep.devices=["cuda:0"]', "models.deep.require_placement={cuda=1.0}", f"models.deep.slo_ms={_SLO_MS}")
        with processes.running(Path(name) / "models", Path(name), *fixed, *settings) as server:
            yield server


def bare_rates() -> dict[int, tuple[float, float]]:
    """Return the rows per second, and the milliseconds of a run, of a loop over the bare session, by batch size."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        session = ort.InferenceSession(str(write_model(Path(name))), providers=["CUDAExecutionProvider"])
    return {size: _bare_rate(session, rows(size)) for size in _SIZES}


def _bare_rate(session: ort.InferenceSession, batch: np.ndarray[Any, Any]) -> tuple[float, float]:
    times = []
    for _ in range(300):
        started = time.perf_counter()
        session.run(None, {"h0": batch})
        times.append(time.perf_counter() - started)
    took_s = statistics.median(times[50:])
    return len(batch) / took_s, took_s * 1000


def _head_and_body() -> tuple[dict[str, str], bytes]:
    row = rows(1)
    tensor = {"name": "h0", "shape": list(row.shape), "datatype": "FP32", "parameters": {"binary_data_size": row.nbytes}}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    return {"Inference-Header-Content-Length": str(len(head))}, head + row.tobytes()


def closed(server: Server, callers: int) -> tuple[float, float, float]:
    """Return the rate, p50 and p99 (ms) of callers who ask again as soon as they are answered: medians of some rounds."""
    question = Question(server.http, "/v2/models/deep/infer", *_head_and_body())
    ask(question, callers, 1.0)
    loads = [ask(question, callers, _ROUND_S) for _ in range(_ROUNDS)]
    middle = sorted(loads, key=lambda load: load.requests / load.seconds)[_ROUNDS // 2]
    return middle.requests / middle.seconds, middle.p50_us / 1000, middle.p99_us / 1000


def offered(server: Server, rate: float, seconds: float) -> list[Answer]:
    """Return the answers to Poisson arrivals at that rate."""
    asked = Asked("/v2/models/deep/infer", *_head_and_body())
    return OpenLoop(server.http, lambda _: asked).run(poisson(rate, seconds, 5))


def batches(server: Server) -> list[dict[str, Any]]:
    """Return the latest batches."""
    asked = urllib.request.Request(f"http://{server.admin}/admin/models/deep/batches", headers={"Authorization": f"Bearer {server.token}"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        (version,) = orjson.loads(answer.read())["versions"]
    return list(version["batches"])


def prediction(server: Server, rate: float, seconds: int) -> str:
    """Return how well the run times of a steady load were predicted, in words."""
    seen: dict[Any, tuple[float, int]] = {}
    for _ in range(seconds):
        offered(server, rate, 1.0)
        seen |= {
            batch["at"]: (abs(batch["error_percent"]), batch["rows"]) for batch in batches(server) if batch["error_percent"] is not None
        }
    errors, sizes = zip(*seen.values(), strict=True)
    return f"median error {statistics.median(errors):.1f} % of {len(errors):,} batches of {statistics.mean(sizes):.1f} rows (wanted < 10 %)"


def overload(server: Server, rate: float) -> str:
    """Return what became of an open loop at that rate, in words."""
    answers = offered(server, rate, 8.0)
    admitted = [1000 * answer.took_s for answer in answers if answer.status == 200]
    refused = [1000 * answer.took_s for answer in answers if answer.status == 429]
    others = len(answers) - len(admitted) - len(refused)
    return (
        f"{rate:,.0f}/s offered: {len(admitted) / 8:,.0f}/s admitted, p99 {quantile(admitted, 0.99):.0f} ms (target {_SLO_MS} ms); "
        f"{len(refused) / 8:,.0f}/s refused, p99 {quantile(refused, 0.99):.1f} ms; {others} other answers"
    )


def main() -> None:
    """Measure and print."""
    for size, (rate, took_ms) in bare_rates().items():
        print(f"bare session, batches of {size:2}: {rate:9,.0f} rows/s, {took_ms:.2f} ms a run", flush=True)
    with serve() as adaptive, serve('models.deep.batching="off"') as off:
        for callers in _CALLERS:
            for name, server in (("batching", adaptive), ("without ", off)):
                rate, p50, p99 = closed(server, callers)
                print(f"{callers:3} callers, {name}: {rate:9,.0f} rows/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms", flush=True)
        print(f"predicted against real: {prediction(adaptive, 2_000, 15)}", flush=True)
        print(f"without batching, overloaded: {overload(off, 2_000)}", flush=True)


if __name__ == "__main__":
    main()
