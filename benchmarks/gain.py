"""Whether adaptive batching helps where it can and harms nowhere: `python benchmarks/gain.py`, about three minutes.

Three models, each served with adaptive batching and without it, in turns, with 16 callers who ask for one row at a time: a wide
convolution, which gains nothing from company on a CPU; and a perceptron and a linear model, which do.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from harness import ROOT, load_file
from http_load import Question, ask

Server = Any  # tests/clients/server_process.py is loaded by its path
_CALLERS: Final = 16
_ROUND_S: Final = 2.0
_PAIRS: Final = 10
_TARGET: Final = "defaults.slo_ms=5000"


class Subject(NamedTuple):
    """A model under test."""

    name: str
    shape: tuple[int, ...]
    write: Callable[[Path], None]
    wanted: float


def convolution(path: Path) -> None:
    """Write three convolutions of 128 channels over an image of 24 by 24."""
    source = np.random.default_rng(5)
    steps = [f"c{i} = Conv <pads = [1, 1, 1, 1]> (h{i}, W{i})\n h{i + 1} = Relu (c{i})" for i in range(3)]
    body = "\n".join(["h0 = Identity (X)", *steps, "Y = ReduceMean <axes = [2, 3], keepdims = 0> (h3)"])
    weights = {f"W{i}": (source.normal(size=(128, 128, 3, 3)) / 34).astype(np.float32) for i in range(3)}
    _write(f"conv (float[batch,128,24,24] X) => (float[batch,128] Y) {{ {body} }}", path, weights)


def perceptron(path: Path) -> None:
    """Write two layers, 1,024 wide."""
    source = np.random.default_rng(6)
    weights = {name: (source.normal(size=(1024, 1024)) / 32).astype(np.float32) for name in ("V", "W")}
    _write("mlp (float[batch,1024] X) => (float[batch,1024] Y) { a = MatMul (X, V)\n b = Relu (a)\n Y = MatMul (b, W) }", path, weights)


def linear(path: Path) -> None:
    """Write a linear model of 30 features and 10 classes."""
    weights = {"W": np.random.default_rng(8).normal(size=(30, 10)).astype(np.float32)}
    _write("linear (float[batch,30] X) => (float[batch,10] Y) { Y = MatMul (X, W) }", path, weights)


SUBJECTS: Final = (
    Subject("conv", (128, 24, 24), convolution, 0.97),
    Subject("mlp", (1024,), perceptron, 1.0),
    Subject("linear", (30,), linear, 1.0),
)


def question(server: Server, subject: Subject) -> Question:
    """Return a prediction of one row, its tensors behind a JSON head."""
    row = np.random.default_rng(11).normal(size=(1, *subject.shape)).astype(np.float32)
    tensor = {"name": "X", "shape": list(row.shape), "datatype": "FP32", "parameters": {"binary_data_size": row.nbytes}}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return Question(server.http, f"/v2/models/{subject.name}/infer", headers, head + row.tobytes())


@contextmanager
def serve(*settings: str) -> Iterator[Server]:
    """Serve all models from a process of its own."""
    processes = load_file("server_process", ROOT / "tests" / "clients" / "server_process.py")
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        for subject in SUBJECTS:
            subject.write(Path(name) / "models" / subject.name / "1" / "model.onnx")
        with processes.running(Path(name) / "models", Path(name), *settings) as server:
            yield server


def rate(server: Server, subject: Subject) -> float:
    """Return the answers per second of some callers who ask again as soon as they are answered."""
    load = ask(question(server, subject), _CALLERS, _ROUND_S)
    return load.requests / load.seconds


def main() -> None:
    """Measure and print."""
    with serve(_TARGET) as adaptive, serve(_TARGET, 'defaults.batching="off"') as off:
        for subject in SUBJECTS:
            for server in (adaptive, off):
                ask(question(server, subject), _CALLERS, 1.0)
            pairs = [(rate(adaptive, subject), rate(off, subject)) for _ in range(_PAIRS)]
            ratios = sorted(ours / theirs for ours, theirs in pairs)
            low, high = _interval(ratios)
            ours, theirs = (median(rates) for rates in zip(*pairs, strict=True))
            print(
                f"{subject.name:<8} {ours:8,.0f}/s, without batching {theirs:8,.0f}/s: {median(ratios):.2f}x, "
                f"95 % interval {low:.2f}-{high:.2f} (wanted >= {subject.wanted})",
                flush=True,
            )


def _interval(values: list[float]) -> tuple[float, float]:
    source = np.random.default_rng(0)
    medians = np.median(source.choice(values, (4000, len(values))), axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return float(low), float(high)


def _write(graph: str, path: Path, weights: dict[str, np.ndarray[Any, Any]]) -> None:
    load_file("build", ROOT / "tests" / "models" / "build.py").write_graph(graph, path, weights)


if __name__ == "__main__":
    main()
