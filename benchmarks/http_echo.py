"""The baseline of HTTP: a uvloop protocol that answers every request, and does nothing else that a server does.

`python http_echo.py [MODEL]` prints its port. Without a model it answers a fixed text as soon as bytes arrive: the cost of two
system calls. With one, it waits for the body (read by its Content-Length alone), copies it twice, runs the bare session on the
copy, and sends the same bytes back.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime as ort
import uvloop

SIDE: Final = (1, 3, 224, 224)
_TEXT: Final = b"x" * 230
_ANSWER: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Answering(asyncio.Protocol):
    """Answers whatever arrives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - a request fits into one segment
        """Answer."""
        self.transport.write(_ANSWER % len(_TEXT) + _TEXT)


class Echoing(asyncio.Protocol):
    """Answers a tensor with the same tensor, and runs the model beside."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._parts: list[bytes] = []
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Gather the body, and answer it when it is whole."""
        if not self._left:
            head, _, data = data.partition(b"\r\n\r\n")
            self._left = int(head.lower().split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
        self._parts.append(data)
        self._left -= len(data)
        if not self._left:
            body = b"".join(self._parts)
            self._parts = []
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        size = 4 * int(np.prod(SIDE))
        copy = bytearray(body)
        self._session.run(None, {"X": np.frombuffer(copy, np.float32, offset=len(copy) - size).reshape(SIDE)})
        self._transport.writelines([_ANSWER % len(body), body])


async def serve(model: Path | None) -> None:
    """Answer until the process is ended."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"]) if model else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering if session is None else lambda: Echoing(session), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
