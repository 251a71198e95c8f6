"""`grpc.health.v1.Health`: whether calls should be sent here.

The servicer of grpcio-health-checking has to be told of every change; ours asks, so that Check is never out of date.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from grpc_health.v1 import health_pb2 as health

from penstock.domain.errors import NotFound, PenstockError, Unavailable
from penstock.domain.names import shown
from penstock.grpc.call import CallInfo, Ended, Service, parse, plain
from penstock.grpc.talk import Write, talked

NAME: Final = health.DESCRIPTOR.services_by_name["Health"].full_name
_LOOK_S: Final = 0.25
"""How often it is looked whether readiness has changed, while anybody watches."""


class Health:
    """Says SERVING for each of its services as long as the server is ready. Lives on the event loop."""

    def __init__(self, services: tuple[str, ...], ready: Callable[[], bool]) -> None:
        self._services = ("", *services)
        self._ready = ready
        self._shutting_down = False
        self._closed = False
        self._news = asyncio.Event()
        self._watches = 0
        self._was_ready = False
        self._next_look: asyncio.TimerHandle | None = None
        unary = {
            "Check": plain(health.HealthCheckRequest, self._check),
            "List": plain(health.HealthListRequest, self._list),
        }
        self.table: Final = Service(NAME, unary, {"Watch": talked(self._watch)})

    def begin_shutdown(self) -> None:
        """Say NOT_SERVING from now on, at once to those who watch."""
        self._shutting_down = True
        self._tell()

    def close(self) -> None:
        """End the watches, which would last for ever."""
        self._closed = True
        self.begin_shutdown()

    def _tell(self) -> None:
        told, self._news = self._news, asyncio.Event()
        told.set()

    def _status(self) -> health.HealthCheckResponse:
        serving = self._ready() and not self._shutting_down
        name = "SERVING" if serving else "NOT_SERVING"
        return health.HealthCheckResponse(status=name)

    def _check(self, asked: health.HealthCheckRequest, _call: CallInfo) -> health.HealthCheckResponse:
        if asked.service not in self._services:
            raise NotFound(f"unknown service {shown(asked.service)}; leave it empty to ask for the whole server")
        return self._status()

    def _list(self, _asked: health.HealthListRequest, _call: CallInfo) -> health.HealthListResponse:
        return health.HealthListResponse(statuses=dict.fromkeys(self._services, self._status()))

    async def _watch(self, requests: AsyncIterator[bytes], _call: CallInfo, write: Write) -> Ended:
        try:
            asked = parse(health.HealthCheckRequest, await anext(requests, b""))
        except PenstockError as error:
            return Ended(error=error)
        self._watches += 1
        if self._next_look is None:
            self._look()
        try:
            return await self._tell_each(asked.service, write)
        finally:
            self._watches -= 1

    async def _tell_each(self, service: str, write: Write) -> Ended:
        """Write the status, and again whenever it changes."""
        told = None
        while True:
            news, status = self._news, self._watched(service)
            if status != told:
                await write(status.SerializeToString())
                told = status
            if self._closed:
                return Ended(error=Unavailable("the server is shutting down"))
            await news.wait()

    def _look(self) -> None:
        """Look once for all watches, and again as long as there are any."""
        ready = self._ready()
        if ready != self._was_ready:
            self._was_ready = ready
            self._tell()
        self._next_look = asyncio.get_running_loop().call_later(_LOOK_S, self._look) if self._watches else None

    def _watched(self, service: str) -> health.HealthCheckResponse:
        if service not in self._services:
            return health.HealthCheckResponse(status=health.HealthCheckResponse.SERVICE_UNKNOWN)
        return self._status()
