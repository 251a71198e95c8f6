"""The three doors of a house, opened and closed together."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

from penstock.domain.start import StartError
from penstock.house import House
from penstock.http.gate import Gate
from penstock.http.listener import HttpListener
from penstock.security.token import AdminToken

_LAST_WORDS_S: Final = 1


class Listeners:
    """The three doors: predictions over HTTP and gRPC, administration."""

    def __init__(self, house: House, token: AdminToken) -> None:
        server, http = house.settings.server, house.settings.http
        predictions, admin = house.applications(token)
        gate = Gate(http, house.admission, house.predictor, house.access, house.vitals.connections["http"])
        with _port("http", server.host, server.http_port):
            self._http = HttpListener(predictions, server.host, server.http_port, gate, house.tls.get("http"))
        with _port("admin", server.admin_host, server.admin_port):
            gate = Gate(http, house.admission, counts=house.vitals.connections["admin"])
            self._admin = HttpListener(admin, server.admin_host, server.admin_port, gate, house.tls.get("admin"))
        self._grpc = house.grpc_server(token)
        self._settings = server

    async def open(self) -> dict[str, str]:
        """Begin to answer; returns the addresses by listener."""
        with _port("grpc", self._settings.host, self._settings.grpc_port):
            port = await self._grpc.start(self._settings.host, self._settings.grpc_port)
        await asyncio.gather(self._http.start(), self._admin.start())
        return {"http": self._http.address, "grpc": f"{self._http.host}:{port}", "admin": self._admin.address}

    def announce_shutdown(self) -> None:
        """Tell health checks over gRPC; over HTTP they ask the house."""
        self._grpc.begin_shutdown()

    async def close(self) -> None:
        """Take no more connections, let the answers under way be written, and close."""
        await asyncio.gather(self._grpc.stop(_LAST_WORDS_S), self._http.stop(), self._admin.stop())


@contextlib.contextmanager
def _port(name: str, host: str, port: int) -> Iterator[None]:
    """Turn a port that cannot be had into an error that says which flag helps."""
    try:
        yield
    except OSError as error:
        raise StartError(f"cannot listen for {name} on {host}:{port}: {error.strerror}; choose another with --{name}-port") from error
