"""The endpoints of traffic routes: the admin listener."""

import asyncio
import re
from collections.abc import Iterable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from penstock.domain.errors import InvalidInput, NotFound
from penstock.domain.names import check_model_name, shown
from penstock.domain.route import Route
from penstock.http.answers import json_response, optional_object
from penstock.http.endpoint import endpoint
from penstock.lifecycle.catalog import ServedModel
from penstock.lifecycle.rollouts import Rollouts
from penstock.lifecycle.routes import Routes
from penstock.security.token import AdminToken

_ETAG: Final = re.compile(r'\s*(?:W/)?"?(\d{1,18})"?\s*')


class RouteEndpoints:
    """Show, set and take away a route; promote and roll back. Lives on the event loop."""

    def __init__(self, routes: Routes, rollouts: Rollouts, token: AdminToken) -> None:
        self._routes = routes
        self._rollouts = rollouts
        self._token = token

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""
        yield endpoint("/admin/models/{model}/route", self.route, "GET", "PUT", "DELETE")
        yield endpoint("/admin/models/{model}/promote", self.promote, "POST")
        yield endpoint("/admin/models/{model}/rollback", self.rollback, "POST")

    async def route(self, request: Request) -> Response:
        """Answer with a model's route; set it (`If-Match` may name the revision that is to be replaced); take it away."""
        self._token.require(request.headers.get("authorization"))
        name = check_model_name(request.path_params["model"])
        if request.method == "PUT":
            route, if_match = _read(await optional_object(request)), _revision(request)
            await asyncio.shield(self._routes.put(name, route, who="admin", if_match=if_match))
        elif request.method == "DELETE":
            await asyncio.shield(self._routes.remove(name, who="admin", if_match=_revision(request)))
            return Response(status_code=204, headers={"etag": self._etag(name)})
        return self._told(name)

    async def promote(self, request: Request) -> Response:
        """Make a canary the stable version: that of the rollout, the only one, or the one that the body names as `canary`."""
        name, body = await self._asked(request, {"canary"})
        canary = body.get("canary", "")
        if not isinstance(canary, str):
            raise InvalidInput(f"'canary' is {shown(repr(canary))}; it must be the name of a canary")
        return self._moved(await asyncio.shield(self._rollouts.promote(name, canary)))

    async def rollback(self, request: Request) -> Response:
        """Take all traffic from the canaries or, if there are none, return to the stable version before this one."""
        name, _ = await self._asked(request, set())
        return self._moved(await asyncio.shield(self._rollouts.rollback(name)))

    async def _asked(self, request: Request, keys: set[str]) -> tuple[str, dict[str, object]]:
        self._token.require(request.headers.get("authorization"))
        body = await optional_object(request)
        for key in sorted(body.keys() - keys):
            raise InvalidInput(f"unknown key {shown(key)}; {'the body may hold ' + ', '.join(keys) if keys else 'send no body'}")
        return check_model_name(request.path_params["model"]), body

    def _told(self, name: str) -> Response:
        """Answer with the route alone, so that what was read can be changed and sent back."""
        active = self._routes.of(name)
        if active is None:
            raise NotFound(f'the model {shown(name)} has no route; PUT one, such as {{"stable": "champion"}}')
        return self._answer(name, msgspec.to_builtins(active.route))

    def _moved(self, model: ServedModel) -> Response:
        active = self._routes.of(model.name)
        route = None if active is None else msgspec.to_builtins(active.route)
        version = model.find("").identity.version
        return self._answer(model.name, {"model": model.name, "stable_version": version, "route": route})

    def _answer(self, name: str, document: object) -> Response:
        response = json_response(document)
        response.headers["etag"] = self._etag(name)
        return response

    def _etag(self, name: str) -> str:
        return f'"{self._routes.revision(name)}"'


def _read(body: dict[str, object]) -> Route:
    try:
        return msgspec.convert(body, Route)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the route is not valid: {error}") from error


def _revision(request: Request) -> int | None:
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    found = _ETAG.fullmatch(text)
    if found is None:
        raise InvalidInput(f'if-match is {shown(text)}; use the etag of an earlier answer, such as "3"')
    return int(found[1])
