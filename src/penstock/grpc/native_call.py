"""Calls as the native transport carries them: from the pieces of a body to a handler, and from its end to the fields behind the answer."""

import asyncio
import contextlib
import logging
from collections import deque
from typing import Final, Protocol

from penstock.domain.errors import DeadlineExceeded, InvalidInput, PenstockError, Unimplemented
from penstock.grpc.answers import OPENING, failure, trailers
from penstock.grpc.call import CallInfo, Cancellable, Ended, Handler, Metadata, StreamHandler, unexpected
from penstock.grpc.messages import MessageReader, prefixed, whole
from penstock.http2.sending import Sending

_log = logging.getLogger(__name__)
_COURTESY_S: Final = 0.05
"""How long a refusal waits for the caller's first words: clients of grpc.aio whose message is overtaken by the status lose the status."""
_LATE: Final = DeadlineExceeded("the deadline of the call has passed")


class Carrier(Protocol):
    """The connection that a call is on."""

    @property
    def http2(self) -> Sending:
        """The protocol of the connection."""

    @property
    def max_message_bytes(self) -> int:
        """The largest message that is taken."""

    def flush_soon(self) -> None:
        """Write what was sent by now before long."""

    def end_call(self, stream_id: int) -> None:
        """Forget a call that is over."""

    def sent(self, size: int) -> bool:
        """Write what was sent by now before long, or at once if it is much; returns whether the socket takes more."""

    async def writable(self, stream_id: int, *, passed: bool) -> None:
        """Wait until the socket takes more, and unless it has `passed`, until what was sent on the stream has left."""


class Call:
    """What calls of all kinds have in common."""

    __slots__ = ("_carrier", "_encoding", "_reader", "_stream_id", "deadline_ns", "is_over")

    def __init__(self, carrier: Carrier, stream_id: int, encoding: str, deadline_ns: int | None) -> None:
        self._carrier = carrier
        self._stream_id = stream_id
        self._encoding = encoding
        self._reader: MessageReader | None = None
        """Takes bodies that are not exactly one message in one piece, as almost all of unary calls are."""
        self.deadline_ns = deadline_ns
        self.is_over = False
        """Whether nothing more is sent."""

    def received(self, data: bytes, *, ended: bool) -> None:
        """Take a piece of the body."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop: nobody waits for the answer any more."""
        raise NotImplementedError

    def stop(self, error: PenstockError) -> None:
        """Answer with the error, and call off what is under way."""
        if not self.is_over:
            self._end(failure(error))
            self.cancel()

    def expire(self) -> None:
        """Answer that the deadline has passed."""
        self.stop(_LATE)

    def _end(self, fields: bytes) -> None:
        self.is_over = True
        self._carrier.http2.send_trailers(self._stream_id, OPENING + fields)
        self._carrier.end_call(self._stream_id)

    def _feed(self, data: bytes) -> list[bytes]:
        if self._reader is None:
            self._reader = MessageReader(self._carrier.max_message_bytes, self._encoding)
        return self._reader.feed(data)

    def _check_end(self) -> None:
        if self._reader is not None and not self._reader.is_between:
            raise InvalidInput("the body ends in the middle of a message")


class RefusedCall(Call):
    """A call that is answered by its fields alone, as soon as its caller has said something."""

    __slots__ = ("_answer", "_timer")

    def __init__(self, carrier: Carrier, stream_id: int, answer: bytes) -> None:
        super().__init__(carrier, stream_id, "", None)
        self._answer = answer
        self._timer: Final = asyncio.get_running_loop().call_later(_COURTESY_S, self._refuse)

    def received(self, data: bytes, *, ended: bool) -> None:  # noqa: ARG002 - whatever it is
        """Answer."""
        self._refuse()

    def cancel(self) -> None:
        """Answer no more."""
        self.is_over = True
        self._timer.cancel()

    def _refuse(self) -> None:
        if not self.is_over:
            self.cancel()
            self._carrier.http2.send_trailers(self._stream_id, self._answer)
            self._carrier.end_call(self._stream_id)


class UnaryCall(Call):
    """A call of one message each way; it is the reply that its handler is given."""

    __slots__ = ("_handler", "_info", "_message", "_work")

    def __init__(self, carrier: Carrier, stream_id: int, encoding: str, info: CallInfo, handler: Handler) -> None:
        super().__init__(carrier, stream_id, encoding, info.deadline_ns)
        self._info = info
        self._handler = handler
        self._message: bytes | None = None
        self._work: Cancellable | None = None

    def received(self, data: bytes, *, ended: bool) -> None:
        """Take a piece of the body; with the last one the handler starts."""
        if ended and self._reader is None:
            message = whole(data, self._carrier.max_message_bytes)
            if message is not None:
                self._start(message)
                return
        try:
            self._gather(data, ended=ended)
        except PenstockError as error:
            self.stop(error)

    def _gather(self, data: bytes, *, ended: bool) -> None:
        for message in self._feed(data):
            if self._message is not None:
                raise Unimplemented("the method takes one message, and there is another")
            self._message = message
        if not ended:
            self._carrier.http2.consumed(self._stream_id, len(data))
            return
        self._check_end()
        if self._message is None:
            raise Unimplemented("the method takes one message, and there is none")
        self._start(self._message)

    def _start(self, message: bytes) -> None:
        try:
            work = self._handler(message, self._info, self)
        except Exception:
            _log.exception("a call failed unexpectedly")
            self.fail(unexpected())
        else:
            if not self.is_over:
                self._work = work

    def answer(self, message: bytes, trailing: Metadata = ()) -> None:
        """End with an answer."""
        if self.is_over:
            return
        self.is_over = True
        self._work = None  # which knows this call: a cycle would wait for the garbage collector
        self._carrier.http2.answer(self._stream_id, OPENING, prefixed(message), trailers(trailing))
        self._carrier.end_call(self._stream_id)

    def fail(self, error: PenstockError, trailing: Metadata = ()) -> None:
        """End with the reason why there is no answer."""
        if not self.is_over:
            self._work = None
            self._end(failure(error, trailing))

    def cancel(self) -> None:
        """Call off what is under way."""
        self.is_over = True
        work, self._work = self._work, None
        if work is not None:
            work.cancel()


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
        passed = http2.send_data(self._stream_id, prefixed(message))
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
            async with asyncio.timeout(_COURTESY_S):
                while self._reader is None and not self._ended:
                    await self._arrives()

    def _end(self, fields: bytes) -> None:
        self.is_over = True
        self._carrier.http2.send_trailers(self._stream_id, fields if self._opened else OPENING + fields)
        self._carrier.end_call(self._stream_id)
