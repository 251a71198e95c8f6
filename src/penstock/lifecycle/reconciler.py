"""Moves one model's reality towards what is wanted: loads, switches, moves aliases, drains."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from penstock.domain.errors import BadArtifact, LoadRefused, PenstockError, Unavailable
from penstock.domain.model import ModelVersion
from penstock.domain.route import Route
from penstock.lifecycle import policy
from penstock.lifecycle.catalog import Catalog, ServedModel
from penstock.lifecycle.events import Who
from penstock.lifecycle.freshness import is_stale, is_unchanged
from penstock.lifecycle.listings import Listings
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.options import ModelOptions
from penstock.lifecycle.policy import Load, Step
from penstock.lifecycle.route_store import RouteStore
from penstock.lifecycle.routes import Routes, Shadowed
from penstock.lifecycle.shortfall import lost, unfound
from penstock.lifecycle.states import VersionState
from penstock.lifecycle.tasks import Tasks
from penstock.lifecycle.timers import Timers
from penstock.lifecycle.version import ServedVersion, Watched
from penstock.lifecycle.worker_watch import watch_workers
from penstock.registry.source import ModelListing, VersionListing

_log = logging.getLogger(__name__)
Recorded = Callable[[str, ModelOptions], None]
"""Hears the options of a version before it takes requests: what is to be recorded of its model, and remembered."""
_NEWEST: Final = "latest:1"
"""What is served of a model whose settings make no sense."""


class Reconciler:
    """Takes the steps of the policy. Lives on the event loop.

    Each model has one lock, so its loads never cross; models load beside each other. Aliases move without that lock, between versions
    that are ready: the way back must not wait for a load.
    """

    def __init__(
        self,
        loader: Loader,
        catalog: Catalog,
        only: Mapping[str, Sequence[str]],
        clock: Callable[[], float] = time.monotonic,
        *,
        store: RouteStore | None = None,
        shadowed: Shadowed = lambda _, __: None,
        recorded: Recorded = lambda _, __: None,
        watched: Watched = lambda _: None,
    ) -> None:
        """`only` are the models to serve, with the versions and aliases where such are asked for; all, if there are none."""
        self.listings = Listings()
        self.tasks = Tasks()
        self._loader = loader
        self.check_floor: Final = loader.check_floor
        self.routes: Final = Routes(catalog, store, self._configured_route, shadowed)
        self._catalog, self._only = catalog, only
        self._recorded, self._watched = recorded, watched
        self._clock = clock
        self._locks: dict[str, asyncio.Lock] = {}
        self._wishes: dict[str, Counter[int]] = {}
        self._timers = Timers()

    def busy(self, name: str) -> bool:
        """Tell whether steps are being taken for the model right now."""
        return self._lock(name).locked()

    @contextlib.contextmanager
    def wanting(self, name: str, number: int) -> Iterator[None]:
        """Want a version, whatever the policy says, for as long as the context lasts."""
        wishes = self._wishes.setdefault(name, Counter())
        wishes[number] += 1
        try:
            yield
        finally:
            wishes[number] -= 1

    async def reconcile(
        self, listing: ModelListing, turn: int, eligible: Collection[int], retried: Collection[int] = ()
    ) -> list[PenstockError]:
        """Take steps until the policy has none left; returns why versions failed on the way.

        `turn` is that of the look that found the listing. `eligible` are the versions that may be loaded: those whose files have
        settled. Of these, `retried` are loaded again although they have failed before.
        """
        model = self._catalog.served(listing.name)
        async with self._lock(listing.name):
            self.listings.hear(listing, turn)
            await self.routes.adopt(listing.name)
            passing = {number for number, version in model.versions.items() if version.passing}
            return await self._reconciled(model, eligible, {*retried, *passing})

    def follow_aliases(self, listing: ModelListing, turn: int) -> None:
        """Move aliases as a look has found them, while steps are being taken for the model: the way back waits for no load."""
        model = self._catalog.served(listing.name)
        if self.listings.hear_aliases(listing, turn) and not model.unloaded:
            self.move_aliases(model, "registry")

    async def tidy(self, name: str) -> None:
        """Let go of what is no longer wanted, without loading anything."""
        if name in self.listings:
            async with self._lock(name):
                model = self._catalog.served(name)
                model.kept_warm.numbers(self._clock())  # whose time is over now is freed now; the others get a timer again
                await self._reconciled(model, (), ())
                self._tidy_later(model)

    async def _reconciled(self, model: ServedModel, eligible: Collection[int], retried: Collection[int]) -> list[PenstockError]:
        listing, failures = self.listings[model.name], list[PenstockError]()
        model.note_problem(listing.problem or self._rule_problem(listing) or self._shortfall(model))
        if listing.problem and model.ready_versions:
            # Half-written settings or aliases say nothing about what is wanted: what serves goes on serving.
            return [BadArtifact(listing.problem)]
        self._forget_failures(model, retried)
        fresh = not model.ready_versions
        while not model.unloaded:
            self.move_aliases(model, "registry", adopt=fresh)  # ahead of any unload, so that no alias names what drains
            if (step := self._next_step(model, eligible)) is None:
                break
            failures += await self._take(step, model)
        if model.unloaded:  # while this was loading
            await self.drain_all(model)
        return failures

    def move_aliases(self, model: ServedModel, who: Who, *, adopt: bool = False) -> None:
        """Move each alias whose version is ready; until then, and if that fails, it stays where it was.

        `adopt` takes a new alias over at once, for a model that has not served yet: it must not be answered by another version.
        """
        listed = self.listings[model.name].aliases
        for alias, number in listed.items():
            if model.is_ready(number) or (adopt and alias not in model.aliases):
                self._point(model, who, alias, number)
        for alias in model.aliases.keys() - listed.keys():
            self._point(model, who, alias, None)
        model.pending = {alias: number for alias, number in listed.items() if model.aliases.get(alias) != number}

    def _point(self, model: ServedModel, who: Who, alias: str, number: int | None) -> None:
        before = model.aliases.pop(alias, None) if number is None else model.aliases.get(alias)
        if before == number:
            return
        if before is not None:
            model.left[alias] = before
        if number is not None:
            model.aliases[alias] = number
        if before is not None and model.is_ready(before):
            self.keep_warm(model, alias, before)
        model.forget()
        model.events.add(who, f"alias {alias}", before, number)
        _log.info("alias %s of %s: %s -> %s (%s)", alias, model.name, before or "none", number or "none", who)

    def keep_warm(self, model: ServedModel, what: str, number: int) -> None:
        """Keep a ready version loaded for a while although an alias, or what else named it, has left it."""
        keep_s = model.versions[number].readiness.options.keep_warm_s
        model.kept_warm.leave(what, number, self._clock() + keep_s)
        self._tidy_later(model)

    def _tidy_later(self, model: ServedModel) -> None:
        """Let go of versions that are kept warm when their time is over, whether or not anybody looks at the registry then."""
        end_s = model.kept_warm.next_end_s()
        self._timers.set(model.name, None if end_s is None else end_s - self._clock(), self._begin_tidy)

    def _begin_tidy(self, name: str) -> None:
        self.tasks.spawn(self.tidy(name))

    def _next_step(self, model: ServedModel, eligible: Collection[int]) -> Step | None:
        """Return what to do now; asked again after each step, for aliases may have moved meanwhile."""
        listing, ready = self.listings[model.name], set(model.ready_versions)
        failed = {
            number
            for number, version in model.versions.items()
            if version.state is VersionState.FAILED and is_unchanged(version, listing.versions.get(number))
        }
        there = listing.versions.keys() | self._named(model)  # a directory that is gone does not say that its version is not wanted
        available = {number for number in listing.versions if number in eligible} | (ready & there)
        rule = _NEWEST if self._rule_problem(listing) else self.rule(listing)
        want = policy.wanted(rule, available, listing.aliases, failed, self.routes.wanted(model.name))
        want |= policy.held(model.aliases, listing.aliases, ready) | (model.kept_warm.numbers(self._clock()) & ready)
        want |= {number for number, wishes in self._wishes.get(model.name, {}).items() if wishes} & (available - failed | ready)
        stale = {number for number in want if number in eligible and is_stale(model, listing.versions.get(number))}
        actual = {number: version.state for number, version in model.versions.items()}
        return next(iter(policy.steps(want, actual, stale)), None)

    def _named(self, model: ServedModel) -> set[int]:
        """Return the versions that aliases and routes name."""
        return policy.named(self.listings[model.name].aliases, self.routes.wanted(model.name))

    def _shortfall(self, model: ServedModel) -> str:
        listing, ready = self.listings[model.name], model.ready_versions
        return lost(self._named(model), listing, ready) or unfound(self.rule(listing), listing, ready)

    def _rule_problem(self, listing: ModelListing) -> str:
        try:
            self.rule(listing)
        except PenstockError as error:
            return error.message
        return ""

    def _configured_route(self, name: str) -> Route | None:
        return self._loader.options(self.listings[name]).route if name in self.listings else None

    def rule(self, listing: ModelListing) -> policy.Rule:
        """Return which versions of the model are to be served; raises `LoadRefused` for settings that make no sense."""
        return self._only.get(listing.name) or self._loader.options(listing).versions

    async def _take(self, step: Step, model: ServedModel) -> list[PenstockError]:
        if not isinstance(step, Load):
            self.tasks.spawn(self._drain(model, step.number))
            await asyncio.sleep(0)
            return []
        listing = self.listings[model.name]
        try:
            await self._load(model, listing, listing.versions[step.number])
        except PenstockError as error:
            return [error]
        return []

    async def _load(self, model: ServedModel, listing: ModelListing, found: VersionListing) -> None:
        """Load beside what serves now, then switch, then let the old one drain."""
        version = ServedVersion(ModelVersion(model.name, str(found.number)), found.fingerprint)
        old = model.versions.get(found.number)
        if old is None or not old.ready:
            model.versions[found.number] = version
        started = time.monotonic()
        try:
            readiness = await self._loader.load(listing, found, version)
        except PenstockError as error:
            self._failed(model, found, version, error)
            raise
        except asyncio.CancelledError:
            version.enter(VersionState.FAILED, "the load was abandoned")
            raise
        except Exception as error:
            _log.exception("loading %s failed unexpectedly", version.identity)
            refusal = LoadRefused("the load failed unexpectedly; the log tells more")
            self._failed(model, found, version, refusal)
            raise refusal from error
        version.load_s = time.monotonic() - started
        self._recorded(model.name, readiness.options)
        version.become_ready(readiness)
        watch_workers(version, model.events)
        self._watched(version)
        model.versions[found.number] = version
        model.forget()
        notes = "; ".join(readiness.notes)
        model.events.add("server", f"version {found.number}", VersionState.LOADING, version.state, notes)
        _log.info("%s is ready after %.2f s%s", version.identity, version.load_s, notes and f" ({notes})")
        if old is not None and old.ready:
            self.tasks.spawn(old.drain())

    def _failed(self, model: ServedModel, found: VersionListing, version: ServedVersion, error: PenstockError) -> None:
        version.enter(VersionState.FAILED, error.message)
        version.passing = isinstance(error, Unavailable)
        serving = model.versions.get(found.number)
        if serving is not None and serving.ready:
            serving.passing = version.passing
            # The old files of this number keep serving; remember that the new ones were tried.
            serving.fingerprint = found.fingerprint
            serving.reason = f"a reload failed: {error.message}"
        model.events.add("server", f"version {found.number}", VersionState.LOADING, version.state, error.message)
        _log.error("%s could not be loaded: %s", version.identity, error.message)

    async def drain_all(self, model: ServedModel) -> None:
        """Let no new request in; returns when that is so, and drains go on beside."""
        for number in model.ready_versions:
            self.tasks.spawn(self._drain(model, number))
        await asyncio.sleep(0)  # lets the drains begin, so that the next request already sees them

    async def _drain(self, model: ServedModel, number: int) -> None:
        version = model.versions[number]
        if version.ready:
            await version.drain()
            model.has_drained()
            model.events.add("server", f"version {number}", VersionState.READY, version.state, "not wanted any more")
            _log.info("%s is unloaded", version.identity)

    def _forget_failures(self, model: ServedModel, retried: Collection[int]) -> None:
        for number in retried:
            version = model.versions.get(number)
            if version is not None and version.state is VersionState.FAILED:
                del model.versions[number]
            elif version is not None and version.ready and version.reason:
                version.fingerprint = None

    def close(self) -> None:
        """Begin nothing by itself any more."""
        self._timers.close()

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())
