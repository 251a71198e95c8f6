"""Asks over HTTP/1.1, as lean as Python allows: what the generator costs, the server cannot have."""

import asyncio
from typing import Final, cast

from httptools import HttpParserError, HttpResponseParser

from penstock.bench.client import Done, Failure
from penstock.bench.plan import CannotMeasure, Target

_OK: Final = 200
_SAMPLE: Final = 300


class HttpClient:
    """Keeps connections open and uses the one that was free last."""

    def __init__(self, target: Target) -> None:
        self._target = target
        host, _, port = target.address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()

    async def start(self, connections: int) -> None:
        """Open that many connections; raises `CannotMeasure` if nobody listens."""
        try:
            for _ in range(connections):
                self._idle.append(await self._connect())
        except OSError as error:
            raise CannotMeasure(f"nothing answers at {self._target.url}: {error}") from error

    def ask(self, body: bytes, done: Done) -> None:
        """Send a request on a connection that is free, else on a new one."""
        if self._idle:
            self._idle.pop().ask(body, done)
        else:
            task = asyncio.get_running_loop().create_task(self._open_and_ask(body, done))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def close(self) -> None:
        """Close every connection."""
        for task in self._opening:
            task.cancel()
        for connection in list(self._open):
            connection.abandon()

    async def _open_and_ask(self, body: bytes, done: Done) -> None:
        try:
            connection = await self._connect()
        except OSError as error:
            done(Failure("connection", str(error)))
        else:
            connection.ask(body, done)

    async def _connect(self) -> "_Connection":
        transport, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self._idle, self._open), self._host, self._port
        )
        self._host = str(transport.get_extra_info("peername")[0])  # the one address of a name that answers, and need not be looked up
        return connection


class _Connection(asyncio.Protocol):
    """One connection: answers come in the order of requests, and there is one request at a time."""

    def __init__(self, idle: "list[_Connection]", opened: "set[_Connection]") -> None:
        self._idle = idle
        self._opened = opened
        self._parser = HttpResponseParser(self)
        self._done: Done | None = None
        self._status = 0
        self._text = b""
        self._transport: asyncio.Transport

    def ask(self, body: bytes, done: Done) -> None:
        """Send a request; the connection is free."""
        if self._transport.is_closing():
            asyncio.get_running_loop().call_soon(done, Failure("connection", "the server closed the connection"))
            return
        self._done = done
        self._transport.write(body)

    def abandon(self) -> None:
        """Close at once and tell nobody."""
        self._done = None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport (asyncio)."""
        # uvloop's transports are asyncio's in all but name.
        self._transport = cast("asyncio.Transport", transport)
        self._opened.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request under way (asyncio)."""
        self._opened.discard(self)
        if self in self._idle:
            self._idle.remove(self)
        self._end(Failure("connection", str(error or "the server closed the connection before it answered")))

    def data_received(self, data: bytes) -> None:
        """Read the answer (asyncio)."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._end(Failure("protocol", f"the answer is no HTTP: {error}"))
            self._transport.abort()

    def on_headers_complete(self) -> None:
        """Note the status (httptools)."""
        self._status = self._parser.get_status_code()
        self._text = b""

    def on_body(self, data: bytes) -> None:
        """Keep what an error says (httptools)."""
        if self._status != _OK and len(self._text) < _SAMPLE:
            self._text += data

    def on_message_complete(self) -> None:
        """End the request; the connection is free, unless the server closes it (httptools)."""
        if self._status < _OK:
            return  # 100 Continue and its like come before the answer.
        if self._parser.should_keep_alive():
            self._idle.append(self)
        else:
            self._transport.close()
        self._end(None if self._status == _OK else Failure(f"HTTP {self._status}", self._text[:_SAMPLE].decode(errors="replace")))

    def _end(self, failure: Failure | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(failure)
