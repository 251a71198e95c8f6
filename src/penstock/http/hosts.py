"""The Host header, checked: a browser that was led to this address under another name gets nothing."""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.domain.errors import InvalidInput
from penstock.domain.names import shown
from penstock.http.errors import error_response

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class HostCheck:
    """ASGI middleware that refuses requests for names it does not know."""

    def __init__(self, app: ASGIApp, allowed: Collection[str], free: Collection[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(allowed)
        self._free = frozenset(free)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400."""
        if scope["type"] != "http" or scope["path"] in self._free or is_known(Headers(scope=scope).get("host", ""), self._allowed):
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "")
        await error_response(InvalidInput(f"the Host {shown(host)} is not served here"))(scope, receive, send)


def is_known(host: str, allowed: Collection[str]) -> bool:
    """Tell whether a Host header, with or without a port, names one of the hosts."""
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() and name else host).lower() in allowed
