"""The page at /docs, where a model can be tried, and the OpenAPI document from which the page is drawn."""

from typing import Final

import orjson
from starlette.routing import Route

from penstock.http.openapi import document
from penstock.http.static import asset_route, fixed_route

_FILES: Final = ("docs.css", "docs.js", "answer.js", "dom.js", "json.js", "operations.js", "server.js")


def routes(version: str) -> list[Route]:
    """Return the routes of the page and its files; all of them are read and rendered here, once."""
    return [
        fixed_route("/openapi.json", orjson.dumps(document(version)), "application/json"),
        asset_route("/docs", "docs.html"),
        *(asset_route(f"/docs/{name}", name) for name in _FILES),
    ]
