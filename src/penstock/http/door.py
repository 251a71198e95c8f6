"""Stands above the router of a keyed server: nothing is answered without a key but what is listed as open."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.domain.actor import Actor, act_as
from penstock.domain.caller import Caller
from penstock.domain.errors import PenstockError
from penstock.http.accept import prefers_html
from penstock.http.errors import error_response
from penstock.http.needs import need_of
from penstock.http.webhook import WEBHOOK
from penstock.security.access import Access
from penstock.security.refusals import Turned
from penstock.wire.call import AUTHORIZATION

CALLER: Final = "penstock.caller"
"""Where the scope holds whose key the request came with."""
_HEALTH: Final = frozenset({"/", "/v2/health/live", "/v2/health/ready"})
_METRICS: Final = "/metrics"
_PAGES: Final = ("/docs", "/openapi.json", "/admin/assets/")
_READS: Final = ("GET", "HEAD")


class Door:
    """ASGI middleware that lets nobody pass whose key does not allow it. Hardened to untrusted callers."""

    def __init__(self, app: ASGIApp, access: Access, routes: Sequence[BaseRoute], opened: Collection[str], turned: Turned) -> None:
        """`routes` are the router's own, so that both read a path in the same way; `opened` is the setting `security.open`."""
        self._app = app
        self._access = access
        self._routes = [route for route in routes if isinstance(route, Route)]
        self._opened = frozenset(opened)
        self._turned = turned

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        if scope["type"] == "http" and not self._is_open(scope):
            try:
                caller = scope[CALLER] = self._admitted(scope)
            except PenstockError as error:
                self._turned(error)
                await error_response(error)(scope, receive, send)
                return
            with act_as(Actor(caller.name, "key")):
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _admitted(self, scope: Scope) -> Caller:
        caller = self._access.caller(Headers(scope=scope).get(AUTHORIZATION))
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                caller.require(*need_of(route.path, scope["method"], found["path_params"]))
                break
        return caller  # whoever has a key may learn that a path does not exist

    def _is_open(self, scope: Scope) -> bool:
        path, reads = scope["path"], scope["method"] in _READS
        if path == WEBHOOK:  # what comes there is signed with a secret of its own
            return True
        if path == _METRICS:
            return reads and "metrics" in self._opened
        return reads and (path in _HEALTH or ("pages" in self._opened and _is_page(scope)))


def _is_page(scope: Scope) -> bool:
    path = scope["path"]
    if path.startswith(_PAGES):
        return True
    return path.startswith("/admin/models/") and path.endswith("/batches") and prefers_html(Headers(scope=scope).get("accept", ""))


class Doors(NamedTuple):
    """Makes the door of an application; without `access` there is none."""

    access: Access | None
    opened: Collection[str] = ()
    turned: Turned = lambda _: None

    def over(self, routes: Sequence[BaseRoute]) -> list[Middleware]:
        """Return the door above those routes."""
        return [] if self.access is None else [Middleware(Door, access=self.access, routes=routes, opened=self.opened, turned=self.turned)]


OPEN: Final = Doors(None)
"""Of a server that asks for no keys."""
