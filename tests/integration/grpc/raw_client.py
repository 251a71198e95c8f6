"""A client of HTTP/2 that a test holds by the hand: hyper-h2 over a socket, nothing sent that was not asked for."""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import h2.config
import h2.connection
import h2.events
import h2.settings

CALL: Final = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/inference.GRPCInferenceService/Probe"),
    (":authority", "server"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]
STREAM: Final = [(name, value.replace("Probe", "ProbeStream")) for name, value in CALL]
WITHIN_S: Final = 20
_PIECE: Final = 16_000


def prefixed(message: bytes, compressed: int = 0) -> bytes:
    """Return a message as gRPC frames it."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


class RawClient:
    """One connection; run it on a thread beside the server's event loop."""

    def __init__(self, address: str, *, window: int | None = None) -> None:
        host, _, port = address.rpartition(":")
        self.socket: Final = socket.create_connection((host, int(port)), timeout=WITHIN_S)
        self.h2: Final = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.events: list[Any] = []
        self.is_closed = False
        if window is not None:
            self.h2.local_settings = h2.settings.Settings(
                client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
            )
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Send what h2 wants to send."""
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, headers: Iterable[tuple[str, str]] = CALL, body: bytes | None = None, *, end: bool = True) -> int:
        """Begin a request; returns its stream."""
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, list(headers), end_stream=end and body is None)
        for start in range(0, len(body or b"") or (body is not None), _PIECE):
            self.h2.send_data(stream_id, body[start : start + _PIECE], end_stream=end and start + _PIECE >= len(body))
        self.flush()
        return stream_id

    def until(self, holds: Callable[[], Any], *, reads: bool = True) -> Any:
        """Read and answer what h2 answers by itself, until the condition holds; returns what it returns."""
        deadline = time.monotonic() + WITHIN_S
        while not (held := holds()):
            assert time.monotonic() < deadline, f"it never held; seen {self.events}"
            if not reads or not self._read():
                time.sleep(0.005)
        return held

    def _read(self) -> bool:
        if self.is_closed:
            return False
        try:
            data = self.socket.recv(65_536)
        except ConnectionError:
            data = b""
        self.is_closed = not data
        self.events += self.h2.receive_data(data) if data else []
        if data:
            with contextlib.suppress(ConnectionError):  # a server that closes at once hears no answer, and what it said is still to be read
                self.flush()
        return bool(data)

    def end_of(self, stream_id: int) -> dict[str, str]:
        """Return the fields of an answer, those before its body and those behind it."""
        self.until(lambda: self.seen(h2.events.StreamEnded, stream_id) or self.seen(h2.events.StreamReset, stream_id))
        blocks = self.seen(h2.events.ResponseReceived, stream_id) + self.seen(h2.events.TrailersReceived, stream_id)
        return {name: value for event in blocks for name, value in event.headers}

    def body_of(self, stream_id: int) -> bytes:
        """Return the body that has come so far."""
        return b"".join(event.data for event in self.seen(h2.events.DataReceived, stream_id))

    def seen(self, kind: type, stream_id: int | None = None) -> list[Any]:
        """Return the events of a kind, on a stream."""
        return [event for event in self.events if isinstance(event, kind) and stream_id in (None, getattr(event, "stream_id", None))]

    def drip(self, say: Callable[[], None], over: Callable[[], Any]) -> Any:
        """Say something now and then, until the server has said enough; returns what `over` returns."""

        def next_word() -> Any:
            if not self.is_closed and not select.select([self.socket], [], [], 0.01)[0]:
                with contextlib.suppress(ConnectionError):
                    say()
            elif self._read():
                pass
            return over()

        return self.until(next_word, reads=False)

    def until_closed(self) -> None:
        """Wait until the server has closed the connection."""
        self.until(lambda: self.is_closed)

    def close(self) -> None:
        """Leave."""
        self.socket.close()
