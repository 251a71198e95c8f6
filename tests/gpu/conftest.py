"""Skips every test here, with the reason, where there is no GPU that ONNX Runtime could use; builds what the tests serve."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
import onnxruntime as ort
import pytest

from penstock.execution.devices import parse_device
from penstock.execution.session import OrtSession, SessionSettings

PROVIDER: Final = "CUDAExecutionProvider"
WIDTH: Final = 256
LAYERS: Final = 40
"""Each of them is a launch: a run of one row takes about as long as one of 64."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    reason = _missing()
    for item in items:
        if reason and item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.skip(reason=reason))


def _missing() -> str:
    if PROVIDER not in ort.get_available_providers():
        return f"ONNX Runtime {ort.__version__} has no {PROVIDER} here (installed: {', '.join(ort.get_available_providers())})"
    if not (any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()):
        return "there is no NVIDIA GPU here: no /dev/nvidia0, nor WSL's /dev/dxg"
    return ""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """Write models that CUDA takes whole, and one of strings, of which it takes nothing."""
    root = tmp_path_factory.mktemp("registry")
    models.write_mlp(root)
    models.save(models.parse(models.identity("texts", "string", "batch,n")), root / "texts" / "1")
    models.save(models.parse(models.identity("halves", "float16", "batch,n")), root / "halves" / "1")
    models.save(models.parse(models.identity("wholes", "int64", "batch,n")), root / "wholes" / "1")
    _write_deep(root, models)
    models.write_graph(_GREEDY, root / "greedy" / "1" / "model.onnx")
    return root


# The product of a column and a row: what a run needs grows by the square of what goes in.
_GREEDY: Final = """greedy (float[batch,n] X) => (float[batch,1,1] Y) {
  two = Constant <value_ints = [2]> () one = Constant <value_ints = [1]> () A = Unsqueeze (X, two) B = Unsqueeze (X, one)
  C = Mul (A, B) Y = ReduceMean <axes = [1, 2]> (C)
}"""


def _write_deep(root: Path, models: ModuleType) -> None:
    source = np.random.default_rng(3)
    weights = {f"W{layer}": (source.normal(size=(WIDTH, WIDTH)) / 16).astype(np.float32) for layer in range(LAYERS)}
    steps = [f"m{layer} = MatMul (h{layer}, W{layer}) h{layer + 1} = Tanh (m{layer})" for layer in range(LAYERS)]
    graph = f"deep (float[batch,{WIDTH}] h0) => (float[batch,{WIDTH}] h{LAYERS}) {{ {' '.join(steps)} }}"
    models.write_graph(graph, root / "deep" / "1" / "model.onnx", weights)


@pytest.fixture
def session_of(registry: Path) -> Iterator[Callable[..., OrtSession]]:
    """Return a function that loads a model as the server does. TF32 is off: it rounds inputs to 10 bits, which no tolerance should hide."""
    opened: list[OrtSession] = []

    def load(name: str, device: str, **cuda: str | int | bool) -> OrtSession:
        settings = SessionSettings(parse_device(device), provider_options={"cuda": {"use_tf32": False} | cuda})
        opened.append(OrtSession(registry / name / "1" / "model.onnx", settings))
        return opened[-1]

    yield load
    for session in opened:
        session.close()
