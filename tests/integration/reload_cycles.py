"""Loads and unloads, or fails to load, again and again in one process: `reload_cycles.py DIRECTORY MODEL CYCLES [broken]`.

Prints one JSON list: resident MiB after each cycle. The model is loaded as a server does, from a registry in the directory through
its cache, and asked once. With `broken` each load fails in the engine, after everything was read.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from penstock.domain.errors import PenstockError
from penstock.domain.request import InferenceRequest
from penstock.domain.tensor import Tensor
from penstock.execution.memory import settle_heap
from penstock.execution.synthetic import synthetic_inputs
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager
from penstock.lifecycle.options import ModelOptions
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def resident_mib() -> float:
    """Return what the process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 2**20


@asynccontextmanager
async def managed(directory: Path) -> AsyncIterator[tuple[Manager, Predictor]]:
    """Run a manager that loads nothing by itself."""
    catalog = Catalog()
    registry = VerifiedRegistry(DirectorySource(directory / "registry"), Cache(directory / "cache"))
    loader = Loader(registry, ModelOptions(max_batch_rows=4, threads=1, lanes=1), {}, state_dir=directory / "state")
    manager = Manager(registry, loader, catalog, poll_s=0)
    await manager.start()
    yield manager, Predictor(Ledger(catalog), Admission(30, 600), catalog)
    await manager.aclose()


async def ask(predictor: Predictor, name: str) -> None:
    """Have the model answer one request."""
    schema = predictor.catalog.find(name).schema
    inputs = synthetic_inputs(schema, 1)
    tensors = [Tensor(spec.name, spec.datatype, inputs[spec.name]) for spec in schema.inputs]
    await predictor.predict(InferenceRequest("http", name, "", tensors))


async def cycle(manager: Manager, predictor: Predictor, name: str) -> None:
    """Load, ask and unload."""
    await manager.load(name)
    await ask(predictor, name)
    await manager.unload(name)
    await manager._reconciler.tasks.settle()


async def main(directory: Path, name: str, cycles: int, *, broken: bool) -> None:
    """Print the resident memory after each cycle."""
    seen = []
    async with managed(directory) as (manager, predictor):
        await manager.unload(name)
        for _ in range(cycles):
            with suppress(PenstockError) if broken else nullcontext():
                await cycle(manager, predictor, name)
            seen.append(round(resident_mib(), 2))
    print(json.dumps(seen))


if __name__ == "__main__":
    settle_heap()
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), broken="broken" in sys.argv[4:]))
