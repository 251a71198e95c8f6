"""A manager over a real directory, real tiny models and a real cache, and what tests ask of it."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np

from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.session import Session
from penstock.domain.tensor import DATATYPES, Tensor
from penstock.execution.session import OrtSession, SessionSettings
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.inference.predictor import Predictor
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.manager import Manager, Wanted
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.states import VersionState
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.verified import VerifiedRegistry


def request_for(name: str, reference: str = "") -> InferenceRequest:
    """Return a request of one row of four ones."""
    tensor = Tensor("X", DATATYPES["FP32"], np.ones((1, 4), np.float32))
    return InferenceRequest("http", name, reference, [tensor])


class Gate:
    """Opens real sessions, while it is open; a load that comes to a shut gate waits in front of it."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self.waiting = threading.Event()

    def open_session(self, path: Path, settings: SessionSettings, rows: int | None) -> Session:
        """Return a real session once the gate is open."""
        self.waiting.set()
        assert self.opened.wait(20), "the test never opened the gate"
        return OrtSession(path, settings, rows)


class House:
    """A manager, and what a test asks of it."""

    def __init__(self, root: Path, options: ModelOptions, only: tuple[Wanted, ...], **overrides: Mapping[str, object]) -> None:
        self.root = root
        self.gate = Gate()
        self.catalog = Catalog()
        registry = VerifiedRegistry(DirectorySource(root), Cache(root.with_name("cache")))
        loader = Loader(registry, options, overrides, self.gate.open_session)
        self.manager = Manager(registry, loader, self.catalog, poll_s=0, only=only)
        self.predictor = Predictor(Ledger(self.catalog), Admission(30, 600), self.catalog)

    async def look(self) -> None:
        """Do what the poller does each time, and wait until its work is done."""
        await self.manager._look()
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing loads or drains any more."""
        async with asyncio.timeout(20):
            await self.manager._reconciler.tasks.settle()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds, which other threads and the poller bring about."""
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.002)

    def states(self, name: str = "tagged") -> dict[int, VersionState]:
        """Return the versions of a model with their states."""
        return {number: version.state for number, version in self.catalog.models[name].versions.items()}

    async def ask(self, reference: str = "", name: str = "tagged") -> InferenceResponse:
        """Return the answer of a model of four columns."""
        return await self.predictor.predict(request_for(name, reference))

    async def version_of(self, reference: str = "") -> int:
        """Return which version of `tagged` says that it answers."""
        return int((await self.ask(reference)).outputs[1].array[0])

    def write(self, name: str, text: str) -> None:
        """Write a file of `tagged`."""
        (self.root / "tagged" / name).write_text(text)


Open = Callable[..., AbstractAsyncContextManager[House]]
