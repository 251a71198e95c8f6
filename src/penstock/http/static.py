"""Pages and what they are made of: files of the package, each answered with the policy under which a browser may use it."""

from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""Nothing is loaded from elsewhere, and no text that a model brings along can become markup or code."""

_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


def asset(name: str) -> bytes:
    """Return a file of the package."""
    return (files("penstock.http") / "assets" / name).read_bytes()


def page(body: bytes, media_type: str = "text/html") -> Response:
    """Return an answer for a browser."""
    return Response(body, media_type=media_type, headers=_HEADERS)


def asset_route(path: str, name: str) -> Route:
    """Return the route of a file of the package, which is read here, once."""
    return fixed_route(path, asset(name), _TYPES[name.rpartition(".")[2]])


def fixed_route(path: str, body: bytes, media_type: str) -> Route:
    """Return a route that always answers the same."""

    async def endpoint(_: Request) -> Response:
        # A response of its own for every request: middleware adds headers to it.
        return page(body, media_type)

    return Route(path, endpoint, methods=["GET"], name=path)
