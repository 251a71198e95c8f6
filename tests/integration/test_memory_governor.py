"""Memory that a large run has left behind goes back while the model is idle, and growth is told where it happens."""

import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from penstock.domain.request import InferenceRequest
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.execution.memory import own_bytes
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.memory_governor import MemoryGovernor
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.worker_watch import keepers_of
from penstock.monitoring.growth import Slope
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry

MIB = 1024**2


def hog_of(elements: int) -> InferenceRequest:
    """Return a request that takes four bytes times so many."""
    return InferenceRequest("http", "hog", "", [Tensor("N", DATATYPES["INT64"], np.array([[elements]]))])


@pytest.mark.asyncio
@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_idle_model_gives_back_what_its_largest_run_took(tmp_path: Path, models: ModuleType, isolation: str) -> None:
    """The engine keeps 200 MiB for the next such run; after some looks without one they are free, and the model answers as before."""
    models.write_hog(tmp_path / "registry")
    options = ModelOptions(isolation=isolation, max_batch_rows=1, lanes=1, threads=1, slo_ms=60_000)  # type: ignore[arg-type]
    catalog = Catalog()
    registry = VerifiedRegistry(DirectorySource(tmp_path / "registry"), Cache(tmp_path / "cache"))
    manager, governor = Manager(registry, Loader(registry, options, {}), catalog, poll_s=0), MemoryGovernor(catalog)
    predictor = Predictor(Ledger(catalog), Admission(60, 600), catalog)
    await manager.start()
    try:
        keepers = [keeper for _, keeper in keepers_of(catalog.find("hog"))]
        pid = keepers[0].current.pid if keepers else os.getpid()  # type: ignore[union-attr]
        await predictor.predict(hog_of(50_000_000))
        kept = own_bytes(pid)
        for _ in range(7):
            await governor.shrink_idle()
        freed = kept - own_bytes(pid)
        answer = await predictor.predict(hog_of(3))
    finally:
        await manager.aclose()

    assert freed > 150 * MIB
    assert answer.outputs[0].array.tolist() == [[3]]
    assert governor.view().shrinks == {("hog", "1"): 1}


@pytest.mark.asyncio
async def test_growth_of_a_worker_is_an_event_of_its_model(tmp_path: Path, models: ModuleType) -> None:
    """The server and each worker are looked at apart; who begins to grow is told once, with the rate, and so is the end of it."""
    models.write_tagged(tmp_path / "registry", 1)
    options = ModelOptions(isolation="process", warmup="off", lanes=1, threads=1)
    catalog = Catalog()
    registry = VerifiedRegistry(DirectorySource(tmp_path / "registry"), Cache(tmp_path / "cache"))
    manager, governor = Manager(registry, Loader(registry, options, {}), catalog, poll_s=0), MemoryGovernor(catalog)
    await manager.start()
    try:
        governor.look(0.0)
        (worker,) = [process for process in governor._growth if process.model]
        growth = governor._growth[worker]
        growth.slope, growth._in_both_halves = Slope(1e6, 9e5, 1.1e6), True
        governor.look(10.0)
        governor.look(20.0)
        growth.slope = Slope(0.0, -1.0, 1.0)
        governor.look(30.0)
    finally:
        await manager.aclose()

    told = [event for event in catalog.models["tagged"].events.latest() if event.what == "memory of version 1"]
    assert [(event.before, event.after) for event in told] == [("steady", "growing"), ("growing", "steady")]
    assert "3433.2 MiB an hour" in told[0].why
    assert [view.model for view in governor.view().processes] == ["", "tagged"]
