"""The page at /docs, where a model can be tried, and the OpenAPI document from which the page is drawn."""

from importlib.resources import files
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.http.openapi import document

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""Nothing is loaded from elsewhere, and no text that a model brings along can become markup or code."""

_SCRIPTS: Final = ("docs.js", "answer.js", "dom.js", "json.js", "operations.js", "server.js")
_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def routes(version: str) -> list[Route]:
    """Return the routes of the page and its files; all of them are read and rendered here, once."""
    assets = files("penstock.http") / "assets"
    return [
        _route("/openapi.json", orjson.dumps(document(version)), "application/json"),
        _route("/docs", (assets / "docs.html").read_bytes(), "text/html"),
        _route("/docs/docs.css", (assets / "docs.css").read_bytes(), "text/css"),
        *(_route(f"/docs/{name}", (assets / name).read_bytes(), "text/javascript") for name in _SCRIPTS),
    ]


def _route(path: str, body: bytes, media_type: str) -> Route:
    async def endpoint(_: Request) -> Response:
        # A response of its own for every request: middleware adds headers to it.
        return Response(body, media_type=media_type, headers=_HEADERS)

    return Route(path, endpoint, methods=["GET"], name=path)
