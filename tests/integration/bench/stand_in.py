"""A server that stands in for a model server: it answers after a set time, and now and then it stalls altogether.

Run as `python stand_in.py ANSWER_MS STALL_MS EVERY_S STATUS`; prints its port.
"""

import asyncio
import re
import sys
import time

METADATA = b'{"name":"m","versions":["1"],"inputs":[{"name":"X","datatype":"FP32","shape":[-1,2]}],"outputs":[]}'
ANSWER = b'{"model_name":"m","outputs":[]}'
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Behaviour:
    """How long answers take, and when the whole server stands still."""

    def __init__(self, answer_ms: float, stall_ms: float, every_s: float, status: int) -> None:
        self.answer_s = answer_ms / 1000
        self.status = status
        self._stall_s = stall_ms / 1000
        self._every_s = every_s

    async def stall(self) -> None:
        """Block the loop now and then, as a garbage collection or a reload does."""
        while self._stall_s:
            await asyncio.sleep(self._every_s)
            time.sleep(self._stall_s)  # noqa: ASYNC251 - nothing may be answered meanwhile


async def serve(behaviour: Behaviour) -> None:
    """Answer until killed."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            if head.startswith(b"GET"):
                writer.write(_message(200, METADATA))
            else:
                await asyncio.sleep(behaviour.answer_s)
                writer.write(_message(behaviour.status, ANSWER if behaviour.status == 200 else b'{"error":"no room"}'))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(server.serve_forever(), behaviour.stall())


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _message(status: int, content: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n%s" % (status, len(content), content)


if __name__ == "__main__":
    answer_ms, stall_ms, every_s, status = map(float, sys.argv[1:])
    asyncio.run(serve(Behaviour(answer_ms, stall_ms, every_s, int(status))))
