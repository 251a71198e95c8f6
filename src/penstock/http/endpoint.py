"""What answers requests for one path."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route


class Endpoints(Protocol):
    """Endpoints that belong together."""

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""


class _Word(StringConvertor):
    """A part of a path before a colon: of V1 `name:verb`."""

    regex = "[^/:]+"


register_url_convertor("word", _Word())


def endpoint(path: str, answer: Callable[[Request], Awaitable[Response]], *methods: str) -> Route:
    """Return the route of a path; for GET unless methods are named. A `{name:word}` in it has no colon."""
    return Route(path, answer, methods=list(methods) or ["GET"], include_in_schema=False)
