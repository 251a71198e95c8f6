"""What an image of 3 x 224 x 224 floats costs over HTTP in binary form, beside a server that only copies and runs.

The model answers with an image too. The baseline reads the same bytes over the same transport, copies them twice, runs the bare
session and sends them back: see `http_echo.py`.
"""

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import orjson
from harness import ROOT, ROUNDS, Cost, Row, Server, cores, cost, echoing, load_file, median, serving
from http_echo import SIDE
from http_load import Question, ask

LEAST: Final = 0.9
_CONNECTIONS: Final = 4
_GRAPH: Final = "image (float[batch,3,224,224] X) => (float[batch,3,224,224] Y) { Y = Relu (X) }"


def write_model(registry: Path) -> Path:
    """Write the model; returns the path of its file."""
    path = registry / "image" / "1" / "model.onnx"
    load_file("build", ROOT / "tests" / "models" / "build.py").write_graph(_GRAPH, path)
    return path


def question(address: str) -> Question:
    """Return the prediction with the tensor behind a JSON head, both ways."""
    data = np.random.default_rng(11).normal(size=SIDE).astype(np.float32).tobytes()
    tensor = {"name": "X", "shape": SIDE, "datatype": "FP32", "parameters": {"binary_data_size": len(data)}}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Question(address, "/v2/models/image/infer", headers, head + data)


def measure() -> list[Row]:
    """Take turns between the server and the baseline."""
    core = cores()[0]
    with serving(core, write_model) as server, echoing(core, server.model) as echo:
        targets: dict[str, Server] = {"ours": server, "echo": echo}
        costs: dict[str, list[Cost]] = {name: [] for name in targets}
        for name, target in [*targets.items()] * (ROUNDS + 1):
            costs[name].append(cost(target.pid, partial(ask, question(target.http), _CONNECTIONS)))
    ours, bare = (median(costs[name][1:]) for name in ("ours", "echo"))
    return [
        Row(
            "image, HTTP binary, rate / echo with copies and run",
            ours.per_s / bare.per_s,
            "x",
            LEAST,
            f"{ours} beside {bare}",
            at_least=True,
        ),
        Row(
            "image, HTTP binary, CPU / the same",
            ours.cpu_us / bare.cpu_us,
            "x",
            beside=f"{ours.cpu_us:,.0f} us beside {bare.cpu_us:,.0f} us",
        ),
    ]
