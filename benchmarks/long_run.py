"""A model of some 2 ms per run: whether the server adds more to a row than it does to a small model's."""

from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from bare_run import bare_run
from harness import ROOT, ROUNDS, Row, Server, cores, cost, load_file, median, serving
from http_load import Question, ask

FACTOR: Final = 1.03
_LAYERS: Final = 8
_CONNECTIONS: Final = 1
"""One row at a time, so that the bare loop and the server run batches of the same size."""


def write_model(registry: Path) -> Path:
    """Write a perceptron of eight layers, each 1,024 wide; returns the path of its file."""
    path = registry / "wide" / "1" / "model.onnx"
    steps = [f"l{i} = MatMul (h{i}, W{i})\n h{i + 1} = Relu (l{i})" for i in range(_LAYERS)]
    body = "\n".join(["h0 = Identity (X)", *steps, f"Y = Identity (h{_LAYERS})"])
    graph = f"wide (float[batch,1024] X) => (float[batch,1024] Y) {{ {body} }}"
    random = np.random.default_rng(7)
    weights = {f"W{i}": (random.normal(size=(1024, 1024)) / 32).astype(np.float32) for i in range(_LAYERS)}
    load_file("build", ROOT / "tests" / "models" / "build.py").write_graph(graph, path, weights)
    return path


def question(server: Server, *, as_json: bool = False) -> Question:
    """Return a prediction of one row, its tensors behind a JSON head or in it."""
    tensor: dict[str, object] = {"name": "X", "shape": [1, 1024], "datatype": "FP32"}
    if as_json:
        body = orjson.dumps({"inputs": [tensor | {"data": [round(float(value), 6) for value in _row()[0]]}]})
        return Question(server.http, "/v2/models/wide/infer", {"Content-Type": "application/json"}, body)
    tensor["parameters"] = {"binary_data_size": _row().nbytes}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return Question(server.http, "/v2/models/wide/infer", headers, head + _row().tobytes())


def measure(plane_us: float) -> list[Row]:
    """Return the CPU of a row beside the bare run's; `plane_us` is what a request costs around a small model, in microseconds."""
    with serving(cores()[0], write_model) as server:
        bare = bare_run(server.model, _row(), times=500)
        asked = question(server)
        ask(asked, _CONNECTIONS, 1)
        ours = median([cost(server.pid, partial(ask, asked, _CONNECTIONS)) for _ in range(ROUNDS)])
    budget = FACTOR * bare.cpu_us + plane_us
    return [Row("2 ms model, CPU per row", ours.cpu_us, "us", budget, f"bare run {bare.cpu_us:,.0f} us, {ours}")]


def _row() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(11).normal(size=(1, 1024)).astype(np.float32)
