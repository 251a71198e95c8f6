"""The gRPC listener on our own HTTP/2: the same services as on grpcio, at a fraction of its CPU time."""

import asyncio
import contextlib
import errno
import socket
from typing import Final

from penstock.domain.clock import monotonic
from penstock.execution.descriptors import Part, most_connections
from penstock.grpc.connection import GrpcConnection
from penstock.grpc.guard import Guard
from penstock.grpc.health import NAME as HEALTH
from penstock.grpc.health import Health
from penstock.grpc.methods import Methods
from penstock.grpc.options import GrpcOptions
from penstock.grpc.patience import watch_interval_s
from penstock.grpc.reflection import reflection_services
from penstock.grpc.service import InferenceService
from penstock.security.tls import Tls
from penstock.telemetry.vitals import Connections

_BACKLOG: Final = 2048
_CATCH_UP_S: Final = 0.001
_AT_ONCE: Final = 256
"""Connections that are looked at in one turn of the loop."""
_LAST_WORDS_S: Final = 0.5
"""How long clients may take to close connections that are over."""


class NativeServer:
    """Carries the inference, health and reflection services over one port. Lives on the event loop that starts it."""

    def __init__(self, service: InferenceService, options: GrpcOptions, guard: Guard | None = None, tls: Tls | None = None) -> None:
        """Without a guard nobody needs a key; without `tls` all is in the clear, with it clients have to ask for HTTP/2 by ALPN."""
        self._service = service
        self._health = Health((service.table.name,), service.ready)
        services = [service.table, self._health.table]
        if options.reflection:
            services += reflection_services([service.table.name, HEALTH])
        self.methods: Final = Methods(services, guard)
        self.options: Final = options
        self.counts: Final = Connections()
        self.counts.most = most_connections(options.max_connections, Part.GRPC)
        self._tls = tls
        self._connections: set[GrpcConnection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None
        self._watching: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port: a free one if 0 is asked for. Raises `OSError` if it cannot be had."""
        tls, shake_s = None if self._tls is None else self._tls.http2_context, None
        if tls is not None:
            shake_s = self.options.handshake_timeout_s
        loop, family = asyncio.get_running_loop(), socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._server = await loop.create_server(
                lambda: GrpcConnection(self), host, port, family=family, backlog=_BACKLOG, ssl=tls, ssl_handshake_timeout=shake_s
            )
        except OSError as error:
            raise OSError(
                error.errno or errno.EADDRINUSE,
                f"cannot listen for gRPC on {host}:{port}: the port is taken, or the address is not of this machine",
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    def begin_shutdown(self) -> None:
        """Tell health checks that no more calls should come; calls are still taken."""
        self._health.begin_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, wait for those under way as long as `grace_s`, cancel the rest."""
        self._health.close()
        self._service.close()
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.begin_leaving()
        await self._emptied(grace_s)
        for connection in list(self._connections):
            connection.stop()
        await self._emptied(_LAST_WORDS_S)
        for connection in list(self._connections):
            connection.abort()
        if self._watching is not None:
            self._watching.cancel()

    async def _emptied(self, within_s: float) -> None:
        """Wait until no connection is left, but not for ever."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), within_s)

    def enter(self, connection: GrpcConnection) -> bool:
        """Take a connection in, or return False if there are too many."""
        self._connections.add(connection)
        self._empty.clear()
        if self._watching is None:
            self._watch()
        return self.counts.entered(len(self._connections))

    @property
    def crowded(self) -> bool:
        """See `Connections.crowded`."""
        return self.counts.crowded

    def leave(self, connection: GrpcConnection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        self.counts.open = len(self._connections)
        if not self._connections:
            self._empty.set()

    def _watch(self) -> None:
        """Look at every connection now and then: one timer for all costs less than one for each call."""
        self._watching = None
        if self._connections:
            self._watching = asyncio.get_running_loop().call_later(watch_interval_s(self.options), self._catch_up)

    def _catch_up(self) -> None:
        """Read first what has arrived: where the loop itself was late, its clients were not."""
        self._watching = asyncio.get_running_loop().call_later(_CATCH_UP_S, self._look)

    def _look(self, left: list[GrpcConnection] | None = None) -> None:
        """Look at some, and at the others in the next turns of the loop: thousands at once would hold up all calls."""
        left, now_ns = list(self._connections) if left is None else left, monotonic()
        for connection in left[-_AT_ONCE:]:
            if connection in self._connections:
                connection.watch(now_ns)
        del left[-_AT_ONCE:]
        if left:
            asyncio.get_running_loop().call_soon(self._look, left)
        else:
            self._watch()
