"""Which route each model has: from its settings or from an operator, in force as soon as all its versions are ready."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from penstock.domain.errors import Conflict, InvalidInput, PenstockError, PreconditionFailed, Unavailable
from penstock.domain.names import check_model_name, shown
from penstock.domain.route import Route, Shadow, route_problems
from penstock.lifecycle.beside import beside
from penstock.lifecycle.catalog import Catalog, ServedModel
from penstock.lifecycle.events import Who
from penstock.lifecycle.route_fit import misfit
from penstock.lifecycle.route_store import KeptRoute, Origin, RouteStore
from penstock.traffic.split import Split

_log = logging.getLogger(__name__)
Shadowed = Callable[[str, Sequence[Shadow]], None]
"""Hears of a model's name and the shadows of its route."""
_ORIGIN_OF: Final[Mapping[Who, Origin]] = {"rollout": "rollout"}


@dataclass(frozen=True, slots=True)
class ActiveRoute:
    """A route, with what tells it from others that the model had."""

    route: Route
    revision: int
    origin: Origin


class Routes:
    """Lives on the event loop. Changes of one model's route happen one after the other."""

    def __init__(
        self,
        catalog: Catalog,
        store: RouteStore | None,
        configured: Callable[[str], Route | None],
        enforced: Shadowed = lambda _, __: None,
    ) -> None:
        """Ask `configured` for the route that a model's settings give, and tell `enforced` of the shadows of each route put in force.

        Without a store nothing outlives the process.
        """
        self._catalog = catalog
        self._store = store
        self._configured = configured
        self._enforced = enforced
        self._kept: dict[str, KeptRoute] = {}
        self._read: set[str] = set()
        """Models whose kept route is known, or known not to be there: each look at the registry asks again."""
        self._locks: dict[str, asyncio.Lock] = {}

    def of(self, name: str) -> ActiveRoute | None:
        """Return the route that a model is to have: in force, or waiting for a version."""
        kept = self._kept.get(name)
        return None if kept is None or kept.route is None else ActiveRoute(kept.route, kept.revision, kept.origin)

    def revision(self, name: str) -> int:
        """Return a number that grows with each change of a model's route, 0 before the first."""
        return self._kept[name].revision if name in self._kept else 0

    def previous(self, name: str) -> str:
        """Return the number of the version that was stable before the last promotion, "" if there was none."""
        return self._kept[name].previous if name in self._kept else ""

    def wanted(self, name: str) -> tuple[str, ...]:
        """Return the versions, as numbers and aliases, that the model's route needs."""
        active = self.of(name)
        return () if active is None else active.route.versions

    async def adopt(self, name: str) -> None:
        """Take up the route that an earlier process had, or the settings' own where that has changed since."""
        if name not in self._read and self._store is not None:
            store = self._store
            kept = await beside(lambda: store.read(name))
            self._read.add(name)
            if kept is not None:
                self._kept.setdefault(name, kept)
        async with self._lock(name):
            try:
                await self._follow_settings(name)
            except PenstockError as error:  # settings that cannot be read, or a state directory that cannot be written, change nothing
                _log.warning("the route of %s stays as it is: %s", name, error.message)

    async def put(
        self, name: str, route: Route, *, who: Who, why: str = "", if_match: int | None = None, before: str | None = None
    ) -> ActiveRoute:
        """Return the route, which is in force now. `before` is the number of the version that was stable before, where that has changed.

        Raises `InvalidInput` with everything that makes no sense in it, `NotFound` for an unknown model, `PreconditionFailed` if the
        present revision is not the one that `if_match` names, and `Conflict` if a version is not ready, unless all that changes is that
        canaries go: the way back is never refused. Nothing has changed then.
        """
        model = self._catalog.model(check_model_name(name))
        if problems := list(route_problems(route)):
            raise InvalidInput(f"the route is not valid: {'; '.join(problems)}")
        async with self._lock(name):
            self._check_revision(name, if_match)
            if not self._only_leaves(model, route) and (problem := self._obstacle(model, route)):
                raise Conflict(f"the route stays as it is: {problem}")
            await self._change(model, route, who, why, before)
        return ActiveRoute(route, self.revision(name), _ORIGIN_OF.get(who, "admin"))

    async def remove(self, name: str, *, who: Who, why: str = "", if_match: int | None = None, before: str | None = None) -> None:
        """Take a model's route away: its champion, or its highest version, answers all; `before` as in `put`. No route is no error."""
        model = self._catalog.model(check_model_name(name))
        async with self._lock(name):
            self._check_revision(name, if_match)
            if self.of(name) is not None:
                await self._change(model, None, who, why, before)

    async def remember_stable(self, name: str, number: str) -> None:
        """Keep which version was stable before a promotion that has left the route as it is, for the way back."""
        async with self._lock(name):
            kept = self._kept.get(name) or KeptRoute(None, 0, "admin", self._of_settings(name))
            await self._keep(name, msgspec.structs.replace(kept, previous=number))

    def refresh(self, model: ServedModel) -> None:
        """Put a route in force once its versions are ready; say so when one of them is gone."""
        active = self.of(model.name)
        if active is None or model.unloaded:
            return
        problem, in_force = self._obstacle(model, active.route), is_in_force(model, active)
        if not in_force and not problem:
            self._enforce(model, active.route)
            model.events.add("server", "route", "waiting", "in force")
        elif in_force and problem:
            model.events.add("server", "route", "in force", "in part", f"{problem}; the stable version answers in its place")

    def problem(self, model: ServedModel) -> str:
        """Return why the model's route is not in force, or not all of it; "" if nothing is wrong."""
        active = self.of(model.name)
        return "" if active is None else self._obstacle(model, active.route)

    def _check_revision(self, name: str, if_match: int | None) -> None:
        if if_match is not None and if_match != self.revision(name):
            raise PreconditionFailed(
                f"the route of {name!r} has changed: it is revision {self.revision(name)}, the request expects {if_match}; look at it again"
            )

    def _only_leaves(self, model: ServedModel, route: Route) -> bool:
        """Tell whether a route is the one in force without some of its canaries: nobody gets a version that he could not get before."""
        active = self.of(model.name)
        if active is None or not is_in_force(model, active):
            return False
        others = msgspec.structs.replace(active.route, canaries=route.canaries) == route
        return others and set(route.canaries) < set(active.route.canaries)

    def _obstacle(self, model: ServedModel, route: Route) -> str:
        """Return why a route cannot be in force now, "" if it can."""
        for reference in route.versions:
            number = model.number(reference)
            if number is None:
                there = ", ".join(sorted(model.aliases)) or "none"
                return f"the model has no alias {shown(reference)}; it has: {there}"
            if not model.is_ready(number):
                ready = ", ".join(map(str, model.ready_versions)) or "none"
                return (
                    f"version {reference} is not ready, ready are: {ready}; give it an alias, or name it in `versions`, to have it loaded"
                )
        return misfit(model, route)

    async def _change(self, model: ServedModel, route: Route | None, who: Who, why: str, before: str | None) -> None:
        was, previous = self.of(model.name), self.previous(model.name) if before is None else before
        origin = _ORIGIN_OF.get(who, "admin")
        # One write: a crash keeps the route of before, or this one and the way back from it.
        await self._keep(model.name, KeptRoute(route, self.revision(model.name) + 1, origin, self._of_settings(model.name), previous))
        self._enforce(model, route)
        model.events.add(who, "route", _told(None if was is None else was.route), _told(route), why)
        _log.info("route of %s: %s (%s%s)", model.name, _told(route), who, f", {why}" if why else "")

    def _of_settings(self, name: str) -> Route | None:
        """Return the route that the settings give; the one of before while they cannot be read: the way back must not wait for a typo."""
        try:
            return self._configured(name)
        except PenstockError:
            return self._kept[name].of_file if name in self._kept else None

    async def _follow_settings(self, name: str) -> None:
        """Apply the settings' own route if it is not the one that was applied last."""
        model, kept = self._catalog.served(name), self._kept.get(name)
        model.changed = partial(self.refresh, model)
        route = self._configured(name)
        if route == (None if kept is None else kept.of_file):
            self.refresh(model)
            return
        before = self.of(name)
        kept = KeptRoute(route, self.revision(name) + 1, "file", route, self.previous(name))
        await self._keep(name, kept)
        if route is None:
            self._enforce(model, None)
        model.events.add(
            "registry", "route", _told(None if before is None else before.route), _told(route), "the settings' own route has changed"
        )
        self.refresh(model)

    async def _keep(self, name: str, kept: KeptRoute) -> None:
        store = self._store
        if store is not None:
            try:
                await beside(lambda: store.keep(name, kept))
            except OSError as error:
                raise Unavailable(f"the route cannot be kept in the state directory: {error.strerror}; it stays as it is") from error
        self._kept[name] = kept

    def _enforce(self, model: ServedModel, route: Route | None) -> None:
        model.split = None if route is None else Split(model.name, route)
        model.found.clear()
        self._enforced(model.name, () if route is None else route.shadows)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())


def is_in_force(model: ServedModel, active: ActiveRoute) -> bool:
    """Tell whether requests follow the route."""
    return model.split is not None and model.split.route == active.route


def _told(route: Route | None) -> str:
    if route is None:
        return "none"
    arms = [f"{canary.name} = {canary.version} at {canary.weight:g} %" for canary in route.canaries]
    shadows = [f"shadow {shadow.version} of {shadow.sample:g}" for shadow in route.shadows]
    return ", ".join([f"stable = {route.stable}", *arms, *shadows])
