"""Moves an alias because somebody asks this server to: ready first, then the registry, then the requests."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final

from penstock.domain.errors import BadArtifact, Conflict, NotFound, PenstockError, Unavailable
from penstock.lifecycle import policy
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import Catalog, ServedModel
from penstock.lifecycle.events import Who
from penstock.lifecycle.looks import Looks
from penstock.lifecycle.reconciler import Reconciler
from penstock.registry.aliases import moved
from penstock.registry.source import ModelListing, ReadOnlyRegistry, Registry, RegistryUnreachable

_log = logging.getLogger(__name__)
_WHO: Final[Who] = "admin"


class AliasMoves:
    """Lives on the event loop. Moves of one model take effect one after the other, in the order in which their versions are ready."""

    def __init__(self, registry: Registry, catalog: Catalog, reconciler: Reconciler, looks: Looks) -> None:
        self._catalog = catalog
        self._registry = registry
        self._reconciler = reconciler
        self._looks = looks
        self._locks: dict[str, asyncio.Lock] = {}
        self._turns = 0
        self._done: dict[tuple[str, str], int] = {}

    async def put(self, name: str, alias: str, number: int, *, force: bool) -> ServedModel:
        """Return the model once the alias names the version; with `force` at once, then the alias follows when the version is ready.

        Raises `NotFound` for a model or version that the registry does not have, `Unavailable` if it cannot be read or written now, and
        `Conflict` if the version cannot be loaded or would not be kept, if the registry takes no changes from here, or if a later
        request has moved the alias meanwhile. Nothing has changed then.
        """
        turn = self._next_turn()
        listing = await self._known(name, number)
        self._require_wanted(listing, alias, number)
        model = self._catalog.served(name)
        with self._reconciler.wanting(name, number):
            if not force:
                await self._make_ready(model, number)
            await self._move(model, alias, number, turn)
        if not model.is_ready(number):
            self._reconciler.tasks.spawn(self._follow(model, number))
        return model

    async def remove(self, name: str, alias: str) -> ServedModel:
        """Return the model once it has no such alias; raises as `put` does."""
        turn = self._next_turn()
        await self._known(name)
        model = self._catalog.served(name)
        await self._move(model, alias, None, turn)
        return model

    @contextlib.asynccontextmanager
    async def holding(self, model: ServedModel, number: int) -> AsyncIterator[None]:
        """Want a version for as long as the context lasts, and try to load it first; raises `NotFound`, `Unavailable`."""
        with self._reconciler.wanting(model.name, number):
            if not model.is_ready(number):
                await self._load(model, number)
            yield

    def _next_turn(self) -> int:
        self._turns += 1
        return self._turns

    async def _known(self, name: str, number: int | None = None) -> ModelListing:
        """Return the model's listing, asking the registry only for what was not there at the last look: a move must be quick."""
        known = name in self._reconciler.listings and (number is None or number in self._reconciler.listings[name].versions)
        listing = self._reconciler.listings[name] if known else (await self._looks.at(name))[0]
        if number is not None and number not in listing.versions:
            there = ", ".join(map(str, sorted(listing.versions))) or "none"
            raise NotFound(f"model {name!r} has no version {number} in the registry; it has: {there}")
        return listing

    def _require_wanted(self, listing: ModelListing, alias: str, number: int) -> None:
        try:
            rule = self._reconciler.rule(listing)
            self._reconciler.check_floor(listing, number)
        except PenstockError as error:
            raise Conflict(f"the alias stays where it is: {error.message}") from error
        if number not in policy.wanted(rule, {number}, moved(listing.aliases, alias, number)):
            raise Conflict(
                f"the alias stays where it is: version {number} is not among the versions to serve, {rule}; change `versions` first"
            )

    async def _make_ready(self, model: ServedModel, number: int) -> None:
        if model.is_ready(number):
            return
        if model.unloaded:
            raise Conflict(f"the alias stays where it is: the model {model.name!r} was unloaded on request; load it first, or use force")
        failures = await self._load(model, number)
        if not model.is_ready(number):
            reason = failures[0].message if failures else "it is not in the registry any more"
            raise Conflict(f"the alias stays where it is: version {number} of {model.name!r} cannot be served: {reason}")

    async def _load(self, model: ServedModel, number: int) -> list[PenstockError]:
        listing, turn = await self._looks.at(model.name)
        return await self._reconciler.reconcile(listing, turn, {number}, {number})

    async def _follow(self, model: ServedModel, number: int) -> None:
        """Load what a forced move names, without anybody who waits for it; the events tell how that ended."""
        with self._reconciler.wanting(model.name, number), contextlib.suppress(PenstockError):
            await self._load(model, number)

    async def _move(self, model: ServedModel, alias: str, number: int | None, turn: int) -> None:
        async with self._locks.setdefault(model.name, asyncio.Lock()):
            if self._done.get((model.name, alias), 0) > turn:
                raise Conflict(f"a later request has moved the alias {alias!r} while this one waited for its version")
            with self._reconciler.listings.moving(model.name):
                await self._write(model.name, alias, number)
            self._done[model.name, alias] = turn
            self._reconciler.listings.alias_moved(model.name, alias, number)
            self._reconciler.move_aliases(model, _WHO)

    async def _write(self, name: str, alias: str, number: int | None) -> None:
        try:
            await beside(lambda: self._registry.set_alias(name, alias, number))
        except ReadOnlyRegistry as error:
            raise Conflict(str(error)) from error
        except BadArtifact as error:
            raise Conflict(error.message) from error
        except RegistryUnreachable as error:
            _log.warning("alias %s of %s: %s", alias, name, error)
            raise Unavailable("the registry cannot be written now; the alias stays where it is, try again later") from error
