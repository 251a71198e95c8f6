"""Messages of ModelStreamInfer as h2load would send them if it could: some connections of some streams, one message in flight on each.

grpc.aio's client takes longer for a message than the server does, so that few of them would ever meet. Here what is sent is
made once, and of what comes back only the heads of frames are read.
"""

import selectors
import socket
import time
from typing import Final

from grpc_call import Client
from harness import Load

from penstock.grpc.messages import PREFIX_BYTES
from penstock.http2 import frames

_ENDS: Final = {frames.RST_STREAM, frames.GOAWAY}
_READ_BYTES: Final = 1 << 16


class StreamingClient:
    """One connection; sends the next message of a stream as soon as the last one is answered."""

    def __init__(self, address: str, streams: int, answer_bytes: int) -> None:
        host, _, port = address.rpartition(":")
        self.socket: Final = socket.create_connection((host, int(port)))
        self.answers = 0
        self._answer_bytes = answer_bytes
        self._client = Client()
        self._messages: dict[int, bytes] = {}
        self._held = b""
        self.socket.sendall(self._client.greeting() + b"".join(self._open() for _ in range(streams)))

    def _open(self) -> bytes:
        fields, message = self._client.opens("ModelStreamInfer"), self._client.messages(1)
        *_, stream_id = frames.HEAD.unpack_from(message)
        self._messages[stream_id] = message
        return fields + message

    def receive(self) -> None:
        """Read what has come, and ask again on each stream that has an answer; raises `RuntimeError` if one ends, or has an error."""
        if not (received := self.socket.recv(_READ_BYTES)):
            raise RuntimeError("the server has closed the connection")
        data = self._held + received
        at, again = 0, []
        while len(data) - at >= frames.HEAD_BYTES:
            high, low, kind, flags, stream_id = frames.HEAD.unpack_from(data, at)
            end = at + frames.HEAD_BYTES + (high << 16 | low)
            if end > len(data):
                break
            if kind == frames.DATA:
                if end - at != frames.HEAD_BYTES + PREFIX_BYTES + self._answer_bytes:
                    raise RuntimeError(f"the server refused a message of a stream: {data[at:end]!r}")
                again.append(self._messages[stream_id])
            elif kind in _ENDS or (kind == frames.HEADERS and flags & frames.END_STREAM):
                raise RuntimeError(f"a stream has ended: {data[at:]!r}")
            at = end
        self._held = data[at:]
        self.answers += len(again)
        self.socket.sendall(b"".join(again))


def ask_streams(address: str, answer_bytes: int, seconds: float, connections: int, streams: int) -> Load:
    """Keep one message in flight on each stream for some seconds; answers are of that size, and errors of another."""
    selector = selectors.DefaultSelector()
    clients = [StreamingClient(address, streams, answer_bytes) for _ in range(connections)]
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        for key, _ in selector.select(1.0):
            key.data.receive()
    for client in clients:
        client.socket.close()
    return Load(sum(client.answers for client in clients), now - began, 0.0, 0.0)
