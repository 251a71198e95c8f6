"""Keeps what is served in step with the registry, and does what operators ask for."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from penstock.domain.errors import LoadRefused
from penstock.domain.names import check_model_name
from penstock.lifecycle.alias_moves import AliasMoves
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.looks import Look, Looks
from penstock.lifecycle.promotions import Promotions
from penstock.lifecycle.reconciler import Reconciler, Recorded
from penstock.lifecycle.route_store import RouteStore
from penstock.lifecycle.routes import Shadowed
from penstock.lifecycle.version import Watched
from penstock.registry.source import ModelListing, Registry, RegistryUnreachable

_log = logging.getLogger(__name__)
_CLOSE_S: Final = 5.0
_FIRST_POLL_S: Final = 2.0
"""How often a registry that cannot be read at the start is asked again by a server that does not poll."""


class Wanted(NamedTuple):
    """A model that the command line asks for, with a version number or alias where it names one."""

    name: str
    reference: str | None = None


class Manager:
    """Keeps the catalog in step with the registry. Lives on the event loop; what blocks runs on threads."""

    def __init__(
        self,
        registry: Registry,
        loader: Loader,
        catalog: Catalog,
        *,
        poll_s: float,
        only: tuple[Wanted, ...] = (),
        state_dir: Path | None = None,
        shadowed: Shadowed = lambda _, __: None,
        recorded: Recorded = lambda _, __: None,
        watched: Watched = lambda _: None,
    ) -> None:
        """Without a state directory no route outlives the process.

        `shadowed` hears of the shadows of each route that is put in force, `recorded` of the options of each version, `watched` of
        each version that becomes ready.
        """
        self.catalog: Final = catalog
        named: dict[str, list[str]] = {}
        for name, reference in only:
            named.setdefault(name, []).extend([reference] if reference else [])
        self._loader = loader
        self._poll_s = poll_s
        store = None if state_dir is None else RouteStore(state_dir)
        self._reconciler = Reconciler(loader, catalog, named, store=store, shadowed=shadowed, recorded=recorded, watched=watched)
        self.routes: Final = self._reconciler.routes
        self._looks = Looks(registry, catalog, self._reconciler.listings, named, loader.configured)
        self.aliases: Final = AliasMoves(registry, catalog, self._reconciler, self._looks)
        self.promotions: Final = Promotions(catalog, self.routes, self.aliases, self._reconciler)
        self._hint = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._at_start: frozenset[str] | None = None

    async def start(self, *, patient: bool = False) -> None:
        """Load everything wanted, and return when each wanted version is READY or FAILED; then watch the registry.

        Raises `RegistryUnreachable` if there is no registry to start from; who is `patient` waits for it instead.
        """
        look = await self._first_look(patient)
        async with asyncio.TaskGroup() as group:
            for listing in look.models:
                group.create_task(self._reconciler.reconcile(listing, look.turn, set(listing.versions)))
        self._at_start = frozenset(model.name for model in self.catalog if model.versions or model.problem)
        self._watcher = asyncio.create_task(self._watch())

    async def aclose(self) -> None:
        """Stop watching, drain every version and free its memory."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        self._reconciler.close()
        await self._reconciler.tasks.cancel()
        await asyncio.gather(*(version.drain() for version in self.catalog.versions() if version.ready))
        with contextlib.suppress(TimeoutError):  # a run that never ends must not keep the process
            await asyncio.wait_for(beside(self._loader.close), _CLOSE_S)

    @property
    def ready(self) -> bool:
        """True once the start is over, but for a model wanted then, and not withdrawn since, whose versions are FAILED, with none ready."""
        if self._at_start is None:
            return False
        models = (self.catalog.models[name] for name in self._at_start - self._looks.withdrawn)
        return all(model.ready_versions or model.unloaded for model in models)

    @property
    def registry_age_s(self) -> float:
        """Seconds since the registry was last read."""
        return self._looks.age_s

    @property
    def warnings(self) -> Sequence[str]:
        """What is wrong with the names of models in the settings, as the registry is now."""
        return self._looks.warnings

    def look_soon(self) -> None:
        """Look at the registry now rather than at the next poll; hints that come before that look are one."""
        self._hint.set()

    async def load(self, name: str) -> None:
        """Load or reload a model now; raises `NotFound`, or the first reason why a wanted version is not ready."""
        listing, turn = await self._looks.at(name)
        model = self.catalog.served(name)
        model.unloaded = False
        before = model.ready_versions
        failures = await self._reconciler.reconcile(listing, turn, set(listing.versions), set(model.versions))
        model.events.add("admin", "load", _listed(before), _listed(model.ready_versions), failures[0].message if failures else "")
        if failures:
            raise failures[0]
        if not model.ready_versions:
            raise LoadRefused(f"failed to load {name!r}: the registry holds no version of it that its policy wants")

    async def unload(self, name: str) -> None:
        """Unload a model: new requests are refused from now on, those under way are answered. Unknown models are no error."""
        model = self.catalog.models.get(check_model_name(name))
        if model is None:
            return
        before, model.unloaded = model.ready_versions, True
        model.events.add("admin", "unload", _listed(before), "none")
        await self._reconciler.drain_all(model)

    async def _first_look(self, patient: bool) -> Look:
        while True:
            try:
                return await self._looks.everywhere()
            except RegistryUnreachable:
                if not patient:
                    raise
            await self._pause(self._poll_s or _FIRST_POLL_S)

    async def _pause(self, limit_s: float) -> None:
        """Wait for the next look: that long, without an end for 0, or until somebody hints."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hint.wait(), limit_s or None)
        self._hint.clear()

    async def _watch(self) -> None:
        while True:
            await self._pause(self._poll_s)
            try:
                await self._look()
            except RegistryUnreachable:
                _log.debug("the registry is unreachable")
            except Exception:  # one bad look must not end the watch
                _log.exception("a look at the registry failed; what is loaded stays loaded")

    async def _look(self) -> None:
        look = await self._looks.everywhere()
        for listing in look.models:
            if self._reconciler.busy(listing.name):
                self._reconciler.follow_aliases(listing, look.turn)
            else:
                self._reconciler.tasks.spawn(self._follow(listing, look.turn, look.eligible.get(listing.name, set())))

    async def _follow(self, listing: ModelListing, turn: int, eligible: set[int]) -> None:
        if not self.catalog.served(listing.name).unloaded:
            await self._reconciler.reconcile(listing, turn, eligible)


def _listed(ready: list[int]) -> str:
    return f"ready: {', '.join(map(str, ready))}" if ready else "none"
