"""Clients as slow as a server has to bear them: a third never ends its head, a third its body, a third reads no answer."""

import itertools
import socket
from contextlib import suppress
from threading import Event, Thread
from typing import Final, NamedTuple, Self

_BYTE_EACH_S: Final = 0.5
_RECEIVE_BYTES: Final = 4_096
"""A small window: what is not read comes to rest in the server, not in the kernel."""
_HEAD_BYTES: Final = 30
_LEFT_OF_THE_BODY: Final = 60
"""Bytes that are still to come; at this pace, for longer than a scenario lasts."""
_PAGE: Final = "GET /openapi.json HTTP/1.1\r\nHost: {address}\r\n\r\n"
_PAGES: Final = 500
"""More than all buffers on the way hold."""


class Start(NamedTuple):
    """How a slow client begins: so many bytes of a message at once."""

    message: bytes
    at_once: int


class SlowClients:
    """Connections that never finish a request, as long as the context lasts; those that are cut off come again."""

    def __init__(self, address: str, message: bytes, clients: int) -> None:
        """Build; `message` is a request over HTTP, complete with its head."""
        pages = _PAGE.format(address=address).encode() * _PAGES
        starts = (Start(message, _HEAD_BYTES), Start(message, len(message) - _LEFT_OF_THE_BODY), Start(pages, len(pages)))
        self._lines = [_Line(address, start) for start in itertools.islice(itertools.cycle(starts), clients)]
        self._over = Event()
        self._thread = Thread(target=self._drip)

    def __enter__(self) -> Self:
        for line in self._lines:
            line.connect()
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()
        for line in self._lines:
            line.close()

    @property
    def cut_off(self) -> int:
        """How often the server had enough of one."""
        return sum(line.cut_off for line in self._lines)

    def _drip(self) -> None:
        """Let every connection send a byte, one after the other, so that the server is not asked in bursts."""
        for line in itertools.cycle(self._lines):
            if self._over.wait(_BYTE_EACH_S / len(self._lines)):
                return
            line.drip()


class _Line:
    """One slow client."""

    def __init__(self, address: str, start: Start) -> None:
        self._start = start
        host, _, port = address.rpartition(":")
        self._peer = (host, int(port))
        self.cut_off = 0

    def connect(self) -> None:
        """Begin the request, on a new connection."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        self._socket.connect(self._peer)
        self._socket.settimeout(0)
        self._sent = 0
        self._send(self._start.at_once)

    def drip(self) -> None:
        """Send the next byte, or begin again if the server has had enough."""
        try:
            self._send(1)
        except OSError:
            self.cut_off += 1
            self.close()
            self.connect()

    def close(self) -> None:
        """Go away."""
        self._socket.close()

    def _send(self, count: int) -> None:
        with suppress(BlockingIOError):  # The server takes nothing more from a client that reads nothing.
            self._sent += self._socket.send(self._start.message[self._sent : self._sent + count])
