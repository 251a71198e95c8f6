"""Sessions in real worker processes, of tiny real models."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, whatever pytest's import mode
sys.path.append(str(Path(__file__).parents[2] / "contract"))

from processes import Isolate

from penstock.execution.breaker import Breaker
from penstock.execution.devices import Device
from penstock.execution.isolated_session import IsolatedSession
from penstock.execution.session import SessionSettings
from penstock.execution.worker_process import WorkerOrder


@pytest.fixture
def isolate(tmp_path: Path, models: ModuleType) -> Iterator[Isolate]:
    """Return a function that opens a graph, given in ONNX's text syntax, in a worker process of its own."""
    opened: list[IsolatedSession] = []

    def isolated(
        graph: str, *, hang_s: float = 60.0, memory_bytes: int | None = None, slab_bytes: int = 2**28, breaker: Breaker | None = None
    ) -> IsolatedSession:
        models.save(models.parse(graph), tmp_path)
        settings = SessionSettings(Device("cpu"), slab_bytes=slab_bytes)
        order = WorkerOrder(tmp_path / "model.onnx", settings, None, hang_s, memory_bytes)
        opened.append(IsolatedSession(order, breaker))
        return opened[-1]

    yield isolated
    for session in opened:
        session.close()
