"""Sees to it that memory which nobody uses goes back, and tells where memory grows without end."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterator
from time import monotonic
from typing import Final, NamedTuple

from penstock.domain.batch import Batch
from penstock.domain.errors import PenstockError
from penstock.execution.memory import own_bytes, thrifty
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.shrink_rule import ShrinkRule
from penstock.lifecycle.version import Readiness, ServedVersion
from penstock.lifecycle.worker_watch import keepers_of
from penstock.monitoring.growth import Growth
from penstock.telemetry.memory import GrowthView, MemoryView

_log = logging.getLogger(__name__)
_LOOK_S: Final = 10.0
_MIB_PER_H: Final = 3600 / 1024**2


class _Process(NamedTuple):
    """A process that is watched: the server's own, or the worker of a version on a device."""

    model: str = ""
    version: str = ""
    device: str = ""
    pid: int = 0

    def __str__(self) -> str:
        return f"the worker process of {self.model}:{self.version} on {self.device}" if self.model else "the server"


_SERVER: Final = _Process()


class MemoryGovernor:
    """Lives on the event loop; one task looks every ten seconds, and no request pays for it."""

    def __init__(self, catalog: Catalog) -> None:
        self._shrinks: Counter[tuple[str, str]] = Counter()
        """How often a version's arenas were shrunk, by model and number."""
        self._catalog = catalog
        self._rules: dict[ServedVersion, ShrinkRule] = {}
        self._growth: dict[_Process, Growth] = {}
        self._told: set[_Process] = set()
        """Those that are known to grow."""
        self._ready: set[ServedVersion] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._task = asyncio.create_task(self._watch())

    async def aclose(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def view(self) -> MemoryView:
        """Return what a scrape reads."""
        return MemoryView([GrowthView(*each[:3], growth.slope, growth.growing) for each, growth in self._growth.items()], self._shrinks)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                self.look(monotonic())
                await self.shrink_idle()
            except Exception:  # one bad look must not end the watch
                _log.exception("a look at the memory failed")

    async def shrink_idle(self) -> None:
        """Shrink what the versions that do not need it keep, one after the other."""
        ready = [version for version in self._catalog.versions() if version.ready]
        self._rules = {version: self._rules.get(version) or ShrinkRule() for version in ready}
        for version, rule in self._rules.items():
            if version.ready and rule.look(version.statistics.execution_count, version.batcher.history.take_largest()):
                await self._shrink(version)

    async def _shrink(self, version: ServedVersion) -> None:
        readiness, stored = version.readiness, version.batcher.stored
        if stored is None or version.ailment:
            return
        lease = version.acquire()
        try:
            with contextlib.suppress(PenstockError):  # it runs in a worker that has just died, and has no more memory then
                await beside(lambda: _shrink(readiness, stored))
                self._shrinks[version.identity.name, version.identity.version] += 1
        finally:
            lease.release()

    def look(self, now_s: float) -> None:
        """Take in what each process has in memory; tell of those that begin to grow without end, or stop."""
        sizes = dict(self._sizes())
        self._settle()
        self._growth = {process: self._growth.get(process) or Growth() for process in sizes}
        self._told &= sizes.keys()
        for process, size in sizes.items():
            self._growth[process].add(now_s, size)
            self._tell(process)

    def _settle(self) -> None:
        """Begin anew when versions have come or gone: what is usual has changed then."""
        ready = {version for version in self._catalog.versions() if version.ready}
        if ready != self._ready:
            self._ready = ready
            for growth in self._growth.values():
                growth.restart()

    def _sizes(self) -> Iterator[tuple[_Process, int]]:
        yield _SERVER, own_bytes("self")
        for version in self._catalog.versions():
            for device, keeper in keepers_of(version) if version.ready else ():
                worker, identity = keeper.current, version.identity
                if worker is not None:
                    yield _Process(identity.name, identity.version, device, worker.pid), worker.own_bytes

    def _tell(self, process: _Process) -> None:
        growth = self._growth[process]
        if growth.growing == (process in self._told) or growth.slope is None:
            return
        self._told ^= {process}
        rate = [bound * _MIB_PER_H for bound in growth.slope]
        why = f"{rate[0]:.1f} MiB an hour, between {rate[1]:.1f} and {rate[2]:.1f}"
        before, after = ("steady", "growing") if growth.growing else ("growing", "steady")
        _log.warning("the memory of %s is %s: %s", process, after, why)
        if process.model in self._catalog.models:
            self._catalog.models[process.model].events.add("server", f"memory of version {process.version}", before, after, why)


def _shrink(readiness: Readiness, stored: Batch) -> None:
    with thrifty():
        for session in readiness.sessions:
            session.shrink(stored.stack(), stored.outputs)
