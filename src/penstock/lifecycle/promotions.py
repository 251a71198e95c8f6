"""The end of a canary, and the way back from it."""

from typing import Final

import msgspec

from penstock.domain.errors import Conflict
from penstock.domain.names import check_model_name, is_version_number, shown
from penstock.domain.route import Canary, Route
from penstock.lifecycle.alias_moves import AliasMoves
from penstock.lifecycle.catalog import CHAMPION, Catalog, ServedModel
from penstock.lifecycle.reconciler import Reconciler
from penstock.lifecycle.routes import ActiveRoute, Routes

_WHO: Final = "admin"
_STABLE_OF_ROUTE: Final = "stable of the route"
"""No alias has blanks."""


class Promotions:
    """Moves what `stable` names: an alias where the registry keeps it, a number in the route. Lives on the event loop."""

    def __init__(self, catalog: Catalog, routes: Routes, aliases: AliasMoves, reconciler: Reconciler) -> None:
        self._catalog = catalog
        self._reconciler = reconciler
        self._routes = routes
        self._aliases = aliases

    async def promote(self, name: str, canary: str = "") -> ServedModel:
        """Return the model once a canary of its route is the stable version, and no canary any more; without a name the only one.

        Raises `NotFound` for an unknown model, and `Conflict` where there is no such canary, it is not ready, or the alias cannot be
        moved; nothing has changed then.
        """
        model = self._catalog.model(check_model_name(name))
        route = self._route(name)
        chosen = _chosen(name, route, canary)
        number = self._ready(model, chosen.version)
        await self._make_stable(model, _without(route, chosen.name), number, f"the canary {chosen.name!r} is promoted", chosen.name)
        return model

    async def rollback(self, name: str) -> ServedModel:
        """Return the model once its canaries are gone or, if it has none, its stable version is the one before again.

        Raises as `promote` does.
        """
        model = self._catalog.model(check_model_name(name))
        active = self._routes.of(name)
        if active is not None and active.route.canaries:
            route = msgspec.structs.replace(active.route, canaries=())
            await self._routes.put(name, route, who=_WHO, why="rolled back: the stable version answers everybody")
            return model
        route = Route(stable=CHAMPION) if active is None else active.route
        why = f"rolled back from version {self._stable(model, route)}"
        await self._make_stable(model, None if active is None else route, self._before(model, route), why)
        return model

    def _route(self, name: str) -> Route:
        active: ActiveRoute | None = self._routes.of(name)
        if active is None:
            raise Conflict(f"the model {name!r} has no route, so there is no canary to promote; PUT a route first, or move the alias")
        return active.route

    def _before(self, model: ServedModel, route: Route) -> int:
        """Return the version that was stable before the one that is."""
        left = model.left.get(route.stable)
        kept = self._routes.previous(model.name)
        number = left if left is not None else int(kept) if kept else None
        if number is None:
            raise Conflict(f"nothing is known of a stable version of {model.name!r} before this one; move the alias or PUT a route instead")
        return number

    async def _make_stable(self, model: ServedModel, route: Route | None, number: int, why: str, promoted: str = "") -> None:
        """Let a version answer as the stable one, drop the canary that it was, and remember the one before.

        The alias moves first: where that fails, the route is as it was. A move may take its time, so the route is then read again: what
        somebody has changed meanwhile stays.
        """
        if route is not None and is_version_number(route.stable):
            await self._renumber(model, route, number, why)
            return
        stable = CHAMPION if route is None else route.stable
        before = self._stable(model, Route(stable=stable))
        await self._aliases.put(model.name, stable, number, force=False)
        active = self._routes.of(model.name)
        if active is not None and (left := _without(active.route, promoted)) != active.route:
            await self._routes.put(model.name, left, who=_WHO, why=why, before=before)
        else:
            await self._routes.remember_stable(model.name, before)

    async def _renumber(self, model: ServedModel, route: Route, number: int, why: str) -> None:
        """Let the route name another number; the version that it leaves stays loaded for a while, as one that an alias leaves."""
        before = int(route.stable)
        async with self._aliases.holding(model, number):
            self._ready(model, str(number))
            renumbered = msgspec.structs.replace(route, stable=str(number))
            await self._routes.put(model.name, renumbered, who=_WHO, why=why, before=self._stable(model, route))
        if before != number and model.is_ready(before):
            self._reconciler.keep_warm(model, _STABLE_OF_ROUTE, before)

    def _stable(self, model: ServedModel, route: Route) -> str:
        version = model.ready(route.stable)
        return "" if version is None else version.identity.version

    def _ready(self, model: ServedModel, reference: str) -> int:
        version = model.ready(reference)
        if version is None:
            raise Conflict(f"version {shown(reference)} of {model.name!r} is not ready; nothing has changed")
        return int(version.identity.version)


def _without(route: Route, canary: str) -> Route:
    return msgspec.structs.replace(route, canaries=tuple(other for other in route.canaries if other.name != canary))


def _chosen(name: str, route: Route, canary: str) -> Canary:
    named = [other for other in route.canaries if canary in ("", other.name)]
    if len(named) != 1:
        there = ", ".join(other.name for other in route.canaries) or "none"
        wanted = f"no canary {shown(canary)}" if canary else f"{len(named)} canaries, so say which one to promote"
        raise Conflict(f"the route of {name!r} has {wanted}; it has: {there}")
    return named[0]
