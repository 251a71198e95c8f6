"""The methods of all services, found by their paths: the same for each transport, behind the same keys."""

from collections.abc import Iterable
from typing import Final

from penstock.grpc.call import Handler, Service, StreamHandler
from penstock.grpc.guard import Guard


class Methods:
    """Handlers by path, `/package.Service/Method`."""

    def __init__(self, services: Iterable[Service], guard: Guard | None = None) -> None:
        """Without a guard nobody needs a key."""
        guarded = services if guard is None else map(guard.over, services)
        self._unknown: Final[Handler | None] = None if guard is None else guard.unknown
        self._streams: dict[str, StreamHandler] = {}
        self._unary: dict[str, Handler] = {}
        for name, unary, streams in guarded:
            self._unary |= {f"/{name}/{method}": handler for method, handler in unary.items()}
            self._streams |= {f"/{name}/{method}": handler for method, handler in streams.items()}

    def stream(self, path: str) -> StreamHandler | None:
        """Return what answers a method whose messages stream, None if the path is of no such method."""
        return self._streams.get(path)

    def unary(self, path: str) -> Handler | None:
        """Return what answers a method of one message each way.

        On a keyed server that holds for methods which nobody has, too: without a key not even that is told. Ask for a stream first.
        """
        return self._unary.get(path, self._unknown)
