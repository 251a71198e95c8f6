"""One HTTP listener: an application behind uvicorn, on a socket of its own."""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from functools import partial
from typing import Final, cast

import uvicorn
from starlette.applications import Starlette

from penstock.http.fastpath import FastPath
from penstock.http.gate import Gate
from penstock.security.tls import Tls

_BACKLOG: Final = 2048
_POLL_S: Final = 0.01
_LAST_WORDS_S: Final = 1


class HttpListener:
    """Listens from the moment it is built, answers from `start` to `stop`. Lives on the event loop."""

    def __init__(self, app: Starlette, host: str, port: int, gate: Gate, tls: Tls | None = None) -> None:
        """Bind the port, a free one if 0 is asked for; raises `OSError` if it cannot be had. Without `tls`, all is in the clear."""
        self._socket = _bound(host, port)
        self._server = _Uvicorn(_config(app, gate, tls))
        self._task: asyncio.Task[None] | None = None

    @property
    def host(self) -> str:
        """The address as it stands in a URL."""
        host = str(self._socket.getsockname()[0])
        return f"[{host}]" if ":" in host else host

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self._socket.getsockname()[1]}"

    async def start(self) -> None:
        """Begin to answer."""
        self._task = asyncio.create_task(self._server.serve([self._socket]))
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(_POLL_S)

    async def stop(self) -> None:
        """Take no more connections, let the answers under way be written, and close."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its hand on the signals: two of it run in one loop, and the order of stopping is the server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _config(app: Starlette, gate: Gate, tls: Tls | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=cast("type[FastPath]", partial(FastPath, gate)),
        ws="none",
        ssl_context_factory=None if tls is None else lambda _, __: tls.context,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_LAST_WORDS_S,
    )
