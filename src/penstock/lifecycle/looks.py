"""Looks at the registry, off the event loop."""

import logging
from collections.abc import Collection, Mapping
from typing import NamedTuple

from penstock.domain.errors import NotFound, Unavailable
from penstock.domain.names import check_model_name
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import Catalog
from penstock.lifecycle.listings import Listings
from penstock.lifecycle.notices import Notices
from penstock.lifecycle.settled import Settled
from penstock.lifecycle.shortfall import unknown
from penstock.registry.source import ModelListing, Registry, RegistryUnreachable, Snapshot

_log = logging.getLogger(__name__)
_GONE = "the registry does not have this model"


class Look(NamedTuple):
    """What one look has found."""

    models: list[ModelListing]
    """Those that are to be served."""
    turn: int
    """Which look it was; see `Listings`."""
    eligible: Mapping[str, set[int]]
    """By model the versions whose files are complete, or have not changed between two looks."""


class Looks:
    """Lives on the event loop; the registry is read on a thread."""

    def __init__(
        self, registry: Registry, catalog: Catalog, listings: Listings, only: Collection[str], configured: Collection[str]
    ) -> None:
        """`only` are the models to serve; all, if there are none. `configured` are those that the settings name."""
        self.warnings: list[str] = []
        """What is wrong with the names in the settings, as the registry is now."""
        self._registry = registry
        self._catalog = catalog
        self._listings = listings
        self._only = frozenset(only)
        self._configured = configured
        self._settled = Settled()
        self._notices = Notices()
        self._reachable = True
        self.withdrawn: set[str] = set()
        """Models that the last look at everything has not found any more, but for those that are named to be served."""

    @property
    def age_s(self) -> float:
        """Seconds since the registry was last read."""
        return self._settled.age_s

    async def everywhere(self) -> Look:
        """Return what is there now; raises `RegistryUnreachable`."""
        snapshot, turn = await self._snapshot()
        eligible = self._settled.look(snapshot)
        self._note_missing(snapshot)
        return Look([listing for name, listing in snapshot.models.items() if self._is_served(name)], turn, eligible)

    async def at(self, name: str) -> tuple[ModelListing, int]:
        """Return one model as it lies there now, and the turn of the look.

        Raises `NotFound` for a model that is not there or not to be served, `Unavailable` where the registry cannot be read.
        """
        check_model_name(name)
        try:
            snapshot, turn = await self._snapshot()
        except RegistryUnreachable as error:
            raise Unavailable("the registry cannot be read now; what is loaded stays loaded, try again later") from error
        if name not in snapshot.models or not self._is_served(name):
            raise NotFound(f"the registry has no such model: {name!r}")
        self._listings.hear(snapshot.models[name], turn)
        return snapshot.models[name], turn

    async def _snapshot(self) -> tuple[Snapshot, int]:
        turn = self._listings.begin_look()
        try:
            snapshot = await beside(self._registry.snapshot)
        except RegistryUnreachable as error:
            self._note_reachable(reachable=False, why=str(error))
            raise
        self.warnings = unknown(self._configured, snapshot.models.keys())
        self._notices.of(snapshot, self._only - snapshot.models.keys(), self.warnings)
        self._note_reachable(
            reachable=not snapshot.stale, why=""
        )  # of a snapshot that an earlier run has seen the registry tells by itself
        return snapshot, turn

    def _is_served(self, name: str) -> bool:
        return not self._only or name in self._only

    def _note_missing(self, snapshot: Snapshot) -> None:
        """Keep that models which should be there are not: what is loaded of them stays loaded."""
        for name in sorted(self._only - snapshot.models.keys()):
            self._catalog.served(name)
        gone = self._catalog.models.keys() - snapshot.models.keys()
        for name in gone:
            self._catalog.served(name).note_problem(_GONE)
        self.withdrawn = gone - self._only

    def _note_reachable(self, *, reachable: bool, why: str) -> None:
        """Say once that the registry is out of reach, however the reason is worded at each look, and once that it is back."""
        if reachable is self._reachable:
            return
        self._reachable = reachable
        if reachable:
            _log.warning("the registry can be read again")
        elif why:
            _log.warning("the registry cannot be read: %s; what is loaded stays loaded", why)
        words = ("unreachable", "reachable")
        for model in self._catalog:
            model.events.add("registry", "registry", words[not reachable], words[reachable], "what is loaded stays loaded")
