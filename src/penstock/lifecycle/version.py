"""A version that is loaded, or was, or could not be."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from penstock.batching.batcher import Batcher
from penstock.domain.errors import Unavailable
from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.execution.memory import thrifty
from penstock.lifecycle.beside import beside
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.reference_store import References
from penstock.lifecycle.states import VersionState, advance
from penstock.telemetry.statistics import VersionStatistics


def _nothing() -> None:
    """Keep nothing."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Everything that a version needs to answer; put together by the loader."""

    artifact: ModelArtifact
    options: ModelOptions
    schema: ModelSchema
    sessions: tuple[Session, ...]
    batcher: Batcher
    notes: tuple[str, ...] = ()
    tuned: Mapping[str, object] = field(default_factory=dict)
    """The options that a plan of `penstock tune` decided."""
    references: References = field(default_factory=References)
    """What inputs and outputs are compared with."""
    remember: Callable[[], None] = _nothing
    """Keeps what serving has taught of the version's speed; blocks, never raises."""

    def close(self) -> None:
        """Keep what was learnt, and give sessions, files and memory back. Blocks; nothing may run any more."""
        self.remember()
        with thrifty():
            for session in self.sessions:
                session.close()
        self.artifact.close()


class ServedVersion:
    """One version in the catalog. Lives on the event loop; it is also the lease that its requests hold."""

    __deletable__ = ["batcher", "schema"]  # noqa: RUF012 - read by mypyc: both go when the version does

    def __init__(self, identity: ModelVersion, fingerprint: object = None) -> None:
        self.identity = identity
        self.fingerprint = fingerprint
        """What the files looked like when the load began."""
        self.state = VersionState.LOADING
        self.ready = False
        """Whether the version takes requests."""
        self.reason = ""
        """Why the version is not ready."""
        self.ailment = ""
        """What is wrong with a ready version at the moment, such as a worker process that is being restarted; "" if nothing is."""
        self.passing = False
        """Whether the reason may pass by itself, so that the next look tries again."""
        self.since = time.time()  # noqa: TID251 - shown to people
        self.load_s = 0.0
        self.statistics = VersionStatistics()
        self.leases = 0
        # Plain attributes, there from the moment of being ready on: as properties they cost each prediction five calls.
        self.schema: ModelSchema
        """What the version takes and gives."""
        self.batcher: Batcher
        """The queue of the version."""
        self._readiness: Readiness | None = None
        self._drained = asyncio.Event()

    def __repr__(self) -> str:
        return f"<{self.identity} {self.state}, {self.leases} leases>"

    @property
    def readiness(self) -> Readiness:
        """The parts that answer; raises `Unavailable` if the version has not been loaded."""
        if self._readiness is None:
            raise Unavailable(f"version {self.identity} is not loaded: {self.reason or self.state.lower()}")
        return self._readiness

    def enter(self, state: VersionState, reason: str = "") -> None:
        """Take a step of the table in `states.py`."""
        self.state = advance(self.state, state)
        self.ready = state is VersionState.READY
        self.reason = reason
        self.since = time.time()  # noqa: TID251

    def become_ready(self, readiness: Readiness) -> None:
        """Take requests from now on."""
        self._readiness = readiness
        self.schema, self.batcher = readiness.schema, readiness.batcher
        self.identity = readiness.artifact.version
        self.enter(VersionState.READY)

    def acquire(self) -> "ServedVersion":
        """Return the version as a lease; `release` it once."""
        self.leases += 1
        return self

    def release(self) -> None:
        """Give a lease back."""
        self.leases -= 1
        if not self.leases:
            self._drained.set()

    async def drain(self) -> None:
        """Refuse new requests, wait until the last lease is back, free the sessions and give their files back."""
        self.enter(VersionState.DRAINING)
        self.batcher.close()
        while self.leases:
            self._drained.clear()
            await self._drained.wait()
        readiness, self._readiness = self.readiness, None
        readiness.batcher.leave()
        del self.schema, self.batcher
        await beside(readiness.close)
        self.enter(VersionState.UNLOADED, "unloaded")


Watched = Callable[[ServedVersion], None]
"""Hears of a version that takes requests from now on."""
