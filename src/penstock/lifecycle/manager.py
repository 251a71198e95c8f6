"""Moves reality towards what is wanted: the only place that loads, switches and unloads."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Final, NamedTuple

from penstock.domain.errors import BadArtifact, LoadRefused, NotFound, PenstockError
from penstock.domain.model import ModelVersion
from penstock.domain.names import check_model_name
from penstock.lifecycle import policy
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import Catalog, ServedModel
from penstock.lifecycle.loader import Loader
from penstock.lifecycle.notices import Notices
from penstock.lifecycle.policy import Load, Step
from penstock.lifecycle.settled import Settled
from penstock.lifecycle.states import VersionState
from penstock.lifecycle.version import ServedVersion
from penstock.registry.source import ModelListing, Registry, RegistryUnreachable, Snapshot, VersionListing

_log = logging.getLogger(__name__)
_CLOSE_S: Final = 5.0


class Wanted(NamedTuple):
    """A model that the command line asks for, with a version number or alias where it names one."""

    name: str
    reference: str | None = None


class Manager:
    """Keeps the catalog in step with the registry. Lives on the event loop; what blocks runs on threads.

    Each model has one lock, so its transitions never cross; models load beside each other.
    """

    def __init__(self, registry: Registry, loader: Loader, catalog: Catalog, *, poll_s: float, only: tuple[Wanted, ...] = ()) -> None:
        self.catalog: Final = catalog
        self._registry = registry
        self._loader = loader
        self._poll_s = poll_s
        self._only: Mapping[str, str | None] = dict(only)
        self._locks: dict[str, asyncio.Lock] = {}
        self._settled = Settled()
        self._notices = Notices()
        self._tasks: set[asyncio.Task[None]] = set()
        self._poller: asyncio.Task[None] | None = None
        self._at_start: frozenset[str] | None = None

    async def start(self) -> None:
        """Load everything wanted, and return when each wanted version is READY or FAILED; then watch the registry.

        Raises `RegistryUnreachable` if there is no registry to start from.
        """
        snapshot = await beside(self._registry.snapshot)
        self._notices.of(snapshot)
        self._settled.look(snapshot)
        async with asyncio.TaskGroup() as group:
            for listing in self._served(snapshot):
                group.create_task(self._reconcile(listing, eligible=set(listing.versions)))
        self._at_start = frozenset(model.name for model in self.catalog if model.versions or model.problem)
        if self._poll_s > 0:
            self._poller = asyncio.create_task(self._poll())

    async def aclose(self) -> None:
        """Stop watching, drain every version and free its memory."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(version.drain() for version in self.catalog.versions() if version.ready))
        with contextlib.suppress(TimeoutError):  # a run that never ends must not keep the process
            await asyncio.wait_for(beside(self._loader.close), _CLOSE_S)

    @property
    def ready(self) -> bool:
        """True once the start is over, but for a model wanted then whose versions are FAILED, with none ready."""
        if self._at_start is None:
            return False
        models = (self.catalog.models[name] for name in self._at_start)
        return all(model.ready_versions or model.unloaded for model in models)

    @property
    def registry_age_s(self) -> float:
        """Seconds since the registry was last read."""
        return self._settled.age_s

    async def load(self, name: str) -> None:
        """Load or reload a model now; raises `NotFound`, or the first reason why a wanted version is not ready."""
        listing = await self._listing(name)
        model = self._model(name)
        model.unloaded = False
        failures = await self._reconcile(listing, eligible=set(listing.versions), again=True)
        if failures:
            raise failures[0]
        if not model.ready_versions:
            raise LoadRefused(f"failed to load {name!r}: the registry holds no version of it that its policy wants")

    async def unload(self, name: str) -> None:
        """Unload a model: new requests are refused from now on, those under way are answered. Unknown models are no error."""
        model = self.catalog.models.get(check_model_name(name))
        if model is None:
            return
        model.unloaded = True
        await self._drain_all(model)

    async def _drain_all(self, model: ServedModel) -> None:
        for number in model.ready_versions:
            self._spawn(self._drain(model, number))
        await asyncio.sleep(0)  # lets the drains begin, so that the next request already sees them

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self._look()
            except RegistryUnreachable as error:
                self._notices.once(f"{error}; what is loaded stays loaded")
            except Exception:  # one bad look must not end the watch
                _log.exception("a look at the registry failed; what is loaded stays loaded")

    async def _look(self) -> None:
        snapshot = await beside(self._registry.snapshot)
        self._notices.of(snapshot)
        eligible = self._settled.look(snapshot)
        for listing in self._served(snapshot):
            if not self._lock(listing.name).locked():
                self._spawn(self._reconcile_quietly(listing, eligible.get(listing.name, set())))

    async def _reconcile_quietly(self, listing: ModelListing, eligible: set[int]) -> None:
        if not self._model(listing.name).unloaded:
            await self._reconcile(listing, eligible)

    async def _reconcile(self, listing: ModelListing, eligible: set[int], *, again: bool = False) -> list[PenstockError]:
        """Take steps until the policy has none left; returns why versions failed on the way.

        `eligible` are the versions that may be loaded: those whose files have settled. `again` retries what failed before.
        """
        model = self._model(listing.name)
        failures: list[PenstockError] = []
        async with self._lock(listing.name):
            model.problem = listing.problem
            if listing.problem and model.ready_versions:
                # Half-written settings or aliases say nothing about what is wanted: what serves goes on serving.
                return [BadArtifact(listing.problem)]
            if again:
                self._forget_failures(model)
            while not model.unloaded and (pending := self._steps(model, listing, eligible)):
                for step in pending:
                    failures += await self._take(step, model, listing)
                self._move_aliases(model, listing)
            self._move_aliases(model, listing)
            if model.unloaded:  # while this was loading
                await self._drain_all(model)
        return failures

    def _steps(self, model: ServedModel, listing: ModelListing, eligible: set[int]) -> list[Step]:
        failed = {
            number
            for number, version in model.versions.items()
            if version.state is VersionState.FAILED and self._unchanged(version, listing.versions.get(number))
        }
        available = {number for number in listing.versions if number in eligible or self._is_ready(model, number)}
        try:
            rule = self._rule(listing)
        except PenstockError as error:
            model.problem = model.problem or error.message
            rule = "latest:1"
        want = policy.wanted(rule, available, listing.aliases, failed) | self._held(model, listing)
        actual = {number: version.state for number, version in model.versions.items()}
        stale = {number for number in want if number in eligible and self._is_stale(model, listing.versions[number])}
        return policy.steps(want, actual, stale)

    def _held(self, model: ServedModel, listing: ModelListing) -> set[int]:
        """Return the versions that an alias cannot leave yet, since the one that it is to name is not ready."""
        return {
            number
            for alias, number in model.aliases.items()
            if self._is_ready(model, number) and not self._is_ready(model, listing.aliases.get(alias, number))
        }

    def _rule(self, listing: ModelListing) -> policy.Rule:
        reference = self._only.get(listing.name)
        return [reference] if reference else self._loader.options(listing).versions

    async def _take(self, step: Step, model: ServedModel, listing: ModelListing) -> list[PenstockError]:
        if not isinstance(step, Load):
            self._spawn(self._drain(model, step.number))
            await asyncio.sleep(0)
            return []
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
        version.become_ready(readiness)
        model.versions[found.number] = version
        model.forget()
        _log.info("%s is ready after %.2f s%s", version.identity, version.load_s, _remarks(readiness.notes))
        if old is not None and old.ready:
            self._spawn(old.drain())

    def _failed(self, model: ServedModel, found: VersionListing, version: ServedVersion, error: PenstockError) -> None:
        version.enter(VersionState.FAILED, error.message)
        serving = model.versions.get(found.number)
        if serving is not None and serving.ready:
            # The old files of this number keep serving; remember that the new ones were tried.
            serving.fingerprint = found.fingerprint
            serving.reason = f"a reload failed: {error.message}"
        _log.error("%s could not be loaded: %s", version.identity, error.message)

    async def _drain(self, model: ServedModel, number: int) -> None:
        version = model.versions[number]
        if version.ready:
            await version.drain()
            _log.info("%s is unloaded", version.identity)

    def _move_aliases(self, model: ServedModel, listing: ModelListing) -> None:
        """Move each alias whose version is ready; until then, and if that fails, it stays where it was."""
        for alias, number in listing.aliases.items():
            if self._is_ready(model, number) or alias not in model.aliases:
                model.aliases[alias] = number
        for alias in set(model.aliases) - set(listing.aliases):
            del model.aliases[alias]
        model.forget()

    def _is_ready(self, model: ServedModel, number: int) -> bool:
        version = model.versions.get(number)
        return version is not None and version.ready

    def _is_stale(self, model: ServedModel, found: VersionListing) -> bool:
        version = model.versions.get(found.number)
        return version is not None and version.ready and not self._unchanged(version, found)

    def _unchanged(self, version: ServedVersion, found: VersionListing | None) -> bool:
        return found is None or version.fingerprint == found.fingerprint

    def _forget_failures(self, model: ServedModel) -> None:
        for number, version in list(model.versions.items()):
            if version.state is VersionState.FAILED:
                del model.versions[number]
            elif version.ready and version.reason:
                version.fingerprint = None

    def _served(self, snapshot: Snapshot) -> list[ModelListing]:
        missing = set(self._only) - set(snapshot.models)
        for name in sorted(missing):
            self._notices.once(f"the model {name!r} is asked for, but the registry does not have it")
            self._model(name).problem = "the registry does not have this model"
        return [listing for name, listing in snapshot.models.items() if not self._only or name in self._only]

    async def _listing(self, name: str) -> ModelListing:
        check_model_name(name)
        snapshot = await beside(self._registry.snapshot)
        self._notices.of(snapshot)
        if name not in snapshot.models or (self._only and name not in self._only):
            raise NotFound(f"failed to load {name!r}: the registry has no such model")
        return snapshot.models[name]

    def _model(self, name: str) -> ServedModel:
        return self.catalog.models.setdefault(name, ServedModel(name))

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _remarks(notes: tuple[str, ...]) -> str:
    return f" ({'; '.join(notes)})" if notes else ""
