"""Watches what is predicted for drift: gathered where runs end, counted once a second on a thread, told as events.

A prediction pays for it with a tuple. Whatever the thread would not get done is dropped, and counted.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from penstock.domain.clock import Clock, monotonic
from penstock.domain.model import ModelVersion
from penstock.execution.courtesy import Courtesy
from penstock.inference.drift_events import tell
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.reference_store import ReferenceStore
from penstock.lifecycle.version import ServedVersion
from penstock.monitoring.columns import sides_of
from penstock.monitoring.reference import VersionReference
from penstock.monitoring.side_watch import SideWatch
from penstock.monitoring.version_watch import Seen, Told, VersionWatch
from penstock.telemetry.hook_errors import HookErrors

_log = logging.getLogger(__name__)
_LOOK_S: Final = 1.0


class Watched(NamedTuple):
    """A version that takes requests, and what would watch it, or does."""

    version: ServedVersion
    watch: VersionWatch


class Drift:
    """Lives on the event loop, but for the counting."""

    def __init__(
        self,
        catalog: Catalog,
        store: ReferenceStore,
        *,
        look_s: float = _LOOK_S,
        clock: Clock = monotonic,
        hook_errors: HookErrors | None = None,
    ) -> None:
        """`store` keeps the references that are gathered; `hook_errors` counts what goes wrong where predictions are told of."""
        self._hook_errors = hook_errors or HookErrors()
        self._catalog = catalog
        self._store = store
        self._look_s = look_s
        self._clock = clock
        self._watched: dict[tuple[str, int], Watched] = {}
        self._task: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[Watched]:
        """Iterate over the ready versions, watched or not, in order."""
        return iter([each for _, each in sorted(self._watched.items()) if each.version.ready])

    def find(self, model: str, number: str) -> Watched | None:
        """Return a ready version with its watch, None if it is not ready."""
        found = self._watched.get((model, int(number)))
        return found if found is not None and found.version.ready else None

    def follow(self, version: ServedVersion) -> None:
        """Watch a version that takes requests from now on, if its settings and references say so."""
        identity = version.identity
        self._watched[identity.name, int(identity.version)] = Watched(version, self._watch_of(version))
        self.attach()

    def attach(self) -> None:
        """Have the predictions of each version told to its watch if that wants them, and to nobody otherwise."""
        for version, watch in self:
            version.batcher.watch = self._hook_errors.guarded("drift", watch) if watch.is_on else None

    def start(self) -> None:
        """Begin to count."""
        self._task = asyncio.create_task(self._look_again_and_again())

    async def aclose(self) -> None:
        """Stop counting; what waits is dropped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Count what waits, and tell of what it shows."""
        self._watched = {key: each for key, each in self._watched.items() if each.version.ready}
        work = [(each, each.watch.take()) for each in self if each.watch.is_on]
        if work:
            for watched, told in await beside(partial(_counted, work)):
                tell(self._catalog.models[watched.version.identity.name], watched.version.identity, watched.watch, told)
        self.attach()

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            try:
                await self.look()
            except Exception:  # one bad look must not end the others
                _log.exception("drift could not be looked at for a reason of ours; it is tried again")

    def _watch_of(self, version: ServedVersion) -> VersionWatch:
        readiness = version.readiness
        options, known = readiness.options.monitoring, readiness.references
        sides = sides_of(version.schema, options, readiness.options.payloads.redact)
        gather = partial(SideWatch, options=options, frozen=partial(self._keep, version.identity), clock=self._clock)
        inputs = gather(sides.inputs, published=known.published.inputs, kept=known.kept.inputs)
        outputs = gather(sides.outputs, published=known.published.outputs, kept=known.kept.outputs)
        return VersionWatch(inputs, outputs, sides.unwatched)

    def _keep(self, identity: ModelVersion) -> None:
        """Keep what a version has gathered, if it is watched still."""
        watched = self._watched.get((identity.name, int(identity.version)))
        if watched is not None:
            sides = watched.watch.sides
            self._store.keep(identity, VersionReference(inputs=sides["inputs"].gathered, outputs=sides["outputs"].gathered))


def _counted(work: Sequence[tuple[Watched, Sequence[Seen]]]) -> list[tuple[Watched, list[Told]]]:
    """Count on a thread that nobody should have to wait for; what goes wrong with one version is no other's matter."""
    told = []
    with Courtesy():
        for watched, seen in work:
            try:
                told.append((watched, watched.watch.count(seen)))
            except Exception:
                _log.exception("what %s has answered could not be counted for a reason of ours", watched.version.identity)
    return told
