"""The example models: rows to ask with, and what ONNX Runtime answers in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from checks import TOLD

TEXTS = ("Guten Morgen, wie geht es Ihnen?", "¿Dónde está la biblioteca?", "", "where is the house", "vorrei un caffè")
ROWS = (1, 2, 5)
"""Rows of the requests that a model is asked with."""


@dataclass(frozen=True)
class Example:
    """One version of one example model."""

    name: str
    version: str
    input: str
    datatype: str
    outputs: tuple[str, ...]
    rows: Callable[[int], np.ndarray]

    @property
    def label(self) -> str:
        """Return how to name it in a failure."""
        return f"{self.name}/{self.version}"


def _random(*shape: int, high: float = 10.0) -> Callable[[int], np.ndarray]:
    def rows(count: int) -> np.ndarray:
        return np.random.default_rng(count).uniform(0.0, high, (count, *shape)).astype(np.float32)

    return rows


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 17, (count, 8, 8)).astype(np.float32)


def _texts(count: int) -> np.ndarray:
    return np.array([text.encode() for text in (TEXTS * count)[:count]], dtype=np.object_)


MODELS = (
    Example("iris", "1", "features", "FP32", ("label", "probabilities"), _random(4, high=7.0)),
    Example("digits", "1", "image", "FP32", ("label", "probabilities"), _images),
    Example("digits", "2", "image", "FP32", ("label", "probabilities"), _images),
    Example("diabetes", "1", "features", "FP32", ("progression",), _random(10, high=200.0)),
    Example("language", "1", "text", "BYTES", ("label", "probabilities"), _texts),
    Example("waveform", "1", "signal", "FP32", ("class", "probabilities"), _random(128, high=1.0)),
)


@cache
def session(model: Example) -> onnxruntime.InferenceSession:
    """Return ONNX Runtime's session of the very file that is served, with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = Path(TOLD["registry"]) / model.name / model.version / "model.onnx"
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def expected(model: Example, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return what ONNX Runtime answers."""
    asked = np.array([text.decode() for text in rows], dtype=np.object_) if model.datatype == "BYTES" else rows
    answers = session(model).run(list(model.outputs), {model.input: asked})
    return dict(zip(model.outputs, answers, strict=True))


def assert_same(model: Example, output: str, got: np.ndarray, wanted: np.ndarray, *, together: bool = False) -> None:
    """Check that an output is the same: to the last bit, unless requests may have been run together, which changes last bits."""
    about = f"{model.label} {output} of {len(wanted)} rows"
    assert got is not None, f"{about}: missing"
    assert got.shape == wanted.shape, f"{about}: {got.shape} for {wanted.shape}"
    if wanted.dtype == np.object_:
        texts = [text.decode() if isinstance(text, bytes) else text for text in got.ravel()]
        assert texts == list(wanted.ravel()), f"{about}: {texts} for {wanted.tolist()}"
    else:
        assert got.dtype == wanted.dtype, f"{about}: {got.dtype} for {wanted.dtype}"
        same = got.tobytes() == wanted.tobytes() or (together and np.allclose(got, wanted, rtol=1e-5, atol=1e-7))
        assert same, f"{about}: {got.tolist()} for {wanted.tolist()}"
