"""Calls as the native transport carries them, those of one message first of all: from pieces of a body to a handler, and to the answer."""

import asyncio
import logging
from typing import Final, Protocol

from penstock.domain.errors import DeadlineExceeded, InvalidInput, PenstockError, Unimplemented
from penstock.grpc.answers import OPENING, failure, trailers
from penstock.grpc.call import CallInfo, Cancellable, Handler, Metadata, unexpected
from penstock.grpc.messages import COPIED_BYTES, Message, MessageReader, prefix, prefixed, unpacked, whole
from penstock.http2.sending import Sending

_log = logging.getLogger(__name__)
COURTESY_S: Final = 0.05
"""How long an end waits for a caller who may be sending: clients of grpc.aio whose message is overtaken by the status lose the status."""
_LATE: Final = DeadlineExceeded("the deadline of the call has passed")
_SLOW: Final = DeadlineExceeded("a message did not arrive within grpc.message_timeout_s; send it again, or give it more time")


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

    @property
    def is_writable(self) -> bool:
        """Whether the socket takes more."""


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

    @property
    def arriving(self) -> tuple[int, int] | None:
        """What is on its way from the caller, who has no reason to wait with it: its number and the bytes here; None if that is nothing."""
        return None

    def received(self, data: bytes, *, ended: bool) -> None:
        """Take a piece of the body."""
        raise NotImplementedError

    def drained(self) -> None:
        """Hear that all that was sent has passed the caller's windows."""

    def send_more(self) -> None:
        """Hear that the socket takes more."""

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

    def give_up(self) -> None:
        """Answer that what is arriving takes too long."""
        self.stop(_SLOW)

    def _end(self, fields: bytes) -> None:
        self.is_over = True
        self._carrier.http2.send_trailers(self._stream_id, OPENING + fields)
        self._carrier.end_call(self._stream_id)

    def _feed(self, data: bytes) -> list[Message]:
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
        self._timer: Final = asyncio.get_running_loop().call_later(COURTESY_S, self._refuse)

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
        self._message: Message | None = None
        self._work: Cancellable | None = None

    @property
    def arriving(self) -> tuple[int, int] | None:
        """The only message, from the call's begin to the end of its body."""
        if not self._carrier.http2.receives(self._stream_id):
            return None
        here = 0 if self._reader is None else self._reader.here_bytes
        return 0, here if self._message is None else here + len(self._message)

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
        self._start(unpacked(self._message))

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
        if len(message) <= COPIED_BYTES:
            self._carrier.http2.answer(self._stream_id, OPENING, prefixed(message), trailers(trailing))
        else:
            self._answer_large(message, trailers(trailing))
        self._carrier.end_call(self._stream_id)

    def _answer_large(self, message: bytes, fields: bytes) -> None:
        http2 = self._carrier.http2
        http2.send_headers(self._stream_id, OPENING)
        http2.send_data(self._stream_id, prefix(message))
        http2.send_data(self._stream_id, message)
        http2.send_trailers(self._stream_id, fields)

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
