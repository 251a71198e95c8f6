"""Calls of many messages as the native transport carries them."""

import asyncio
import contextlib
import logging
from collections import deque
from typing import Final

from penstock.domain.errors import PenstockError
from penstock.grpc.answers import OPENING, failure, trailers
from penstock.grpc.call import CallInfo, Ended, StreamHandler, unexpected
from penstock.grpc.messages import COPIED_BYTES, prefix, prefixed
from penstock.grpc.native_call import COURTESY_S, Call, Carrier

_log = logging.getLogger(__name__)


class StreamCall(Call):
    """A call whose messages stream. It is what its handler reads from; a task of its own carries the handler."""

    __slots__ = ("_arrival", "_ended", "_messages", "_opened", "_unread_bytes", "task")

    def __init__(self, carrier: Carrier, stream_id: int, encoding: str, info: CallInfo, handler: StreamHandler) -> None:
        super().__init__(carrier, stream_id, encoding, info.deadline_ns)
        self._messages: deque[bytes] = deque()
        self._arrival: asyncio.Future[None] | None = None
        self._ended = False
        self._opened = False
        self._unread_bytes = 0
        self.task: Final = asyncio.create_task(self._run(handler, info))

    @property
    def arriving(self) -> tuple[int, int] | None:
        """A message that has begun, unless others wait to be read, behind which its sender may have to wait too."""
        if self._messages or self._reader is None or self._reader.is_between:
            return None
        return self._reader.finished, self._reader.here_bytes

    def received(self, data: bytes, *, ended: bool) -> None:
        """Take a piece of the body, and wake who waits for messages."""
        try:
            self._messages += self._feed(data)
            if ended:
                self._check_end()
        except PenstockError as error:
            self.stop(error)
            return
        self._ended = ended
        self._unread_bytes += len(data)
        if not self._messages:
            self._read()
        if (self._messages or ended) and self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _read(self) -> None:
        """Let the caller send as much more as was read: all of it, once no message waits."""
        self._carrier.http2.consumed(self._stream_id, self._unread_bytes)
        self._unread_bytes = 0

    def cancel(self) -> None:
        """Cancel the handler."""
        self.is_over = True
        self.task.cancel()

    def __aiter__(self) -> "StreamCall":
        return self

    async def __anext__(self) -> bytes:
        while not self._messages:
            if self._ended:
                raise StopAsyncIteration
            await self._arrives()
        message = self._messages.popleft()
        if not self._messages and not self.is_over:
            self._read()
            self._carrier.flush_soon()
        return message

    async def _arrives(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        await self._arrival

    async def _write(self, message: bytes) -> None:
        if self.is_over:
            return
        http2 = self._carrier.http2
        if not self._opened:
            self._opened = True
            http2.send_headers(self._stream_id, OPENING)
        if len(message) <= COPIED_BYTES:
            passed = http2.send_data(self._stream_id, prefixed(message))
        else:
            http2.send_data(self._stream_id, prefix(message))
            passed = http2.send_data(self._stream_id, message)
        if not self._carrier.sent(len(message)) or not passed:
            await self._carrier.writable(self._stream_id, passed=passed)

    async def _run(self, handler: StreamHandler, info: CallInfo) -> None:
        try:
            ended = await handler(self, info, self._write)
        except Exception:
            _log.exception("a stream failed unexpectedly")
            ended = Ended(error=unexpected())
        await self._hear()
        if not self.is_over:
            self._end(trailers(ended.trailing) if ended.error is None else failure(ended.error, ended.trailing))

    async def _hear(self) -> None:
        """Let the caller say something, but do not wait for ever; see `RefusedCall`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COURTESY_S):
                while self._reader is None and not self._ended:
                    await self._arrives()

    def _end(self, fields: bytes) -> None:
        self.is_over = True
        self._carrier.http2.send_trailers(self._stream_id, fields if self._opened else OPENING + fields)
        self._carrier.end_call(self._stream_id)
