"""Tiny real models, and a session that does what a test says."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from penstock.domain.halt import Halt
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array
from penstock.execution.devices import Device
from penstock.execution.session import OrtSession, SessionSettings

OpenGraph = Callable[..., OrtSession]
Answer = Callable[[Mapping[str, Array]], list[Array]]


class FakeSession:
    """Answers by a function of its inputs, and keeps what it was asked."""

    def __init__(self, schema: ModelSchema, answer: Answer) -> None:
        self.schema = schema
        self.placement = {"cpu": 1.0}
        self.asked: list[tuple[Mapping[str, Array], tuple[str, ...], float | None]] = []
        self._answer = answer

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], limit_s: float | None = None, halt: Halt | None = None
    ) -> list[Array]:
        """Return what the function says."""
        self.asked.append((inputs, tuple(outputs), limit_s))
        return self._answer(inputs)

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def open_graph(tmp_path: Path, models: ModuleType) -> OpenGraph:
    """Return a function that opens a graph given in ONNX's text syntax."""

    def opened(graph: str, max_batch_size: int | None = None, **options: str | int | bool) -> OrtSession:
        models.save(models.parse(graph), tmp_path)
        return OrtSession(tmp_path / "model.onnx", SessionSettings(Device("cpu"), 1, options), max_batch_size)

    return opened


@pytest.fixture
def fake_session() -> Callable[[ModelSchema, Answer], FakeSession]:
    """Return the class of fake sessions."""
    return FakeSession
