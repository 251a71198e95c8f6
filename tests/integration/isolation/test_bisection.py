"""A request that kills workers is found among others, with real batches and real processes."""

import asyncio
import os
import signal
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from penstock.domain.errors import ModelFailed
from penstock.domain.request import InferenceRequest
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.execution.breaker import BreakerState
from penstock.execution.worker_process import WorkerProcess
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.worker_watch import keepers_of
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry

POISON = -1.0
OPTIONS = ModelOptions(isolation="process", max_batch_rows=8, batching="fixed", lanes=1, threads=1, slo_ms=60_000)


def request_of(value: float) -> InferenceRequest:
    """Return a request of one row."""
    return InferenceRequest("http", "tagged", "", [Tensor("X", DATATYPES["FP32"], np.full((1, 4), value, np.float32))])


def state_of(pid: int) -> str:
    """Return the state of a process as the kernel writes it, "X" if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"


@pytest.mark.asyncio
async def test_only_the_offender_fails(tmp_path: Path, models: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is tried again, then divided; the others get their own answers, and the model goes on."""
    run = WorkerProcess.run

    def deadly(worker: WorkerProcess, call: Any) -> Any:
        if (call.inputs["X"] == POISON).any():
            os.kill(worker.pid, signal.SIGSEGV)
            while state_of(worker.pid) not in "ZX":  # another of its threads may take the signal, later than the run
                time.sleep(0.001)
        return run(worker, call)

    models.write_tagged(tmp_path / "registry", 1)
    catalog = Catalog()
    registry = VerifiedRegistry(DirectorySource(tmp_path / "registry"), Cache(tmp_path / "cache"))
    manager = Manager(registry, Loader(registry, OPTIONS, {}), catalog, poll_s=0)
    predictor = Predictor(Ledger(catalog), Admission(60, 600), catalog)
    await manager.start()
    try:
        monkeypatch.setattr(WorkerProcess, "run", deadly)
        values = [1.0, 2.0, POISON, 4.0]
        ends = await asyncio.gather(*[predictor.predict(request_of(value)) for value in values], return_exceptions=True)
        ((_, keeper),) = keepers_of(catalog.find("tagged"))
        after = await predictor.predict(request_of(5.0))
    finally:
        await manager.aclose()

    assert [isinstance(end, BaseException) for end in ends] == [False, False, True, False]
    assert [end.outputs[0].array[0, 0] for end in ends if not isinstance(end, BaseException)] == [1.0, 2.0, 4.0]
    assert isinstance(ends[2], ModelFailed)
    assert "crashed (SIGSEGV)" in str(ends[2])
    assert after.outputs[0].array[0, 0] == 5.0
    assert keeper.tally.deaths.total() >= 3
    assert keeper.breaker is BreakerState.CLOSED
    assert keeper.current is None
