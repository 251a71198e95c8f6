"""What answers requests for one path."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route


class Endpoints(Protocol):
    """Endpoints that belong together."""

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""


def endpoint(path: str, answer: Callable[[Request], Awaitable[Response]], *methods: str) -> Route:
    """Return the route of a path; for GET unless methods are named."""
    return Route(path, answer, methods=list(methods) or ["GET"], include_in_schema=False)
