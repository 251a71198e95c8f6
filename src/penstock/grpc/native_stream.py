"""Calls of many messages as the native transport carries them."""

import asyncio
import logging
from collections import deque
from typing import Final

from penstock.domain.errors import PenstockError
from penstock.grpc.answers import OPENING, failure, trailers
from penstock.grpc.call import CallInfo, Ended, StreamHandler, StreamWork, unexpected
from penstock.grpc.messages import COPIED_BYTES, Message, prefix, prefixed, unpacked
from penstock.grpc.native_call import COURTESY_S, Call, Carrier

_log = logging.getLogger(__name__)


class StreamCall(Call):
    """A call whose messages stream: each goes from the bytes that complete it straight to the work, and is the reply that this is given."""

    __slots__ = ("_ended", "_last_words", "_messages", "_opened", "_passed", "_sends", "_takes", "_timer", "_unread_bytes", "_work")

    def __init__(self, carrier: Carrier, stream_id: int, encoding: str, deadline_ns: int | None) -> None:
        super().__init__(carrier, stream_id, encoding, deadline_ns)
        self._work: StreamWork | None = None
        self._messages: Final[deque[Message]] = deque()
        """Those that the work does not take yet, packed as they came: the windows count what is compressed."""
        self._unread_bytes = 0
        self._takes = True
        """Whether the work takes a message."""
        self._sends = self._passed = True
        """Whether the work sends as it likes, and whether all that it has sent has passed the caller's windows."""
        self._ended = False
        """Whether the caller sends no more."""
        self._opened = False
        self._last_words: bytes | None = None
        """The end of a call whose caller may be saying something."""
        self._timer: asyncio.TimerHandle | None = None

    def start(self, handler: StreamHandler, info: CallInfo) -> None:
        """Begin the work."""
        try:
            self._work = handler(info, self)
        except Exception:
            self._fail()

    @property
    def arriving(self) -> tuple[int, int] | None:
        """A message that has begun, unless others wait to be read, behind which its sender may have to wait too."""
        if not self._takes or self._reader is None or self._reader.is_between:
            return None
        return self._reader.finished, self._reader.here_bytes

    def received(self, data: bytes, *, ended: bool) -> None:
        """Take a piece of the body, and pass on the messages that are whole."""
        self._ended = ended
        if self._last_words is not None:
            self._carrier.http2.consumed(self._stream_id, len(data))
            if ended:
                self._end(self._last_words)
            return
        try:
            self._messages.extend(self._feed(data))
            if ended:
                self._check_end()
        except PenstockError as error:
            self.stop(error)
            return
        self._unread_bytes += len(data)
        self._pass_on()

    def take_more(self) -> None:
        """Pass on what the work has not taken before."""
        if not self.is_over:
            self._takes = True
            self._pass_on()
            self._carrier.flush_soon()

    def _pass_on(self) -> None:
        """Let the work have what it takes, and the caller send as much more as was read: all of it, once no message waits."""
        messages = self._messages
        try:
            while messages and self._takes and self._work is not None:
                self._takes = self._work.take(unpacked(messages.popleft()))
            if self._ended and not messages and self._work is not None:
                self._work.finish()
        except PenstockError as error:
            self.stop(error)
        except Exception:
            self._fail()
        if self._takes:
            self._carrier.http2.consumed(self._stream_id, self._unread_bytes)
            self._unread_bytes = 0

    def send(self, message: bytes) -> bool:
        """Send an answer; returns whether the next may follow now."""
        if self.is_over:
            return False
        http2 = self._carrier.http2
        if not self._opened:
            self._opened = True
            http2.send_headers(self._stream_id, OPENING)
        if len(message) <= COPIED_BYTES:
            self._passed = http2.send_data(self._stream_id, prefixed(message))
        else:
            http2.send_data(self._stream_id, prefix(message))
            self._passed = http2.send_data(self._stream_id, message)
        self._sends = self._carrier.sent(len(message)) and self._passed
        return self._sends

    def drained(self) -> None:
        """Go on once what was sent has passed the caller's windows."""
        self._passed = True
        self.send_more()

    def send_more(self) -> None:
        """Let the work go on if nothing holds it back."""
        if self._passed and not self._sends and self._carrier.is_writable and self._work is not None:
            self._sends = True
            self._work.send_more()

    def end(self, ended: Ended) -> None:
        """End; let the caller have its say first, but do not wait for ever, see `COURTESY_S`."""
        if self.is_over:
            return
        self._work = None
        fields = trailers(ended.trailing) if ended.error is None else failure(ended.error, ended.trailing)
        if self._ended:
            self._end(fields)
        else:
            self._last_words = fields
            self._timer = asyncio.get_running_loop().call_later(COURTESY_S, self._end, fields)

    def stop(self, error: PenstockError) -> None:
        """End with the error, unless the work has said its last words already."""
        if self._last_words is None:
            super().stop(error)
        elif not self.is_over:
            self._end(self._last_words)

    def cancel(self) -> None:
        """Call off the work."""
        self.is_over = True
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _fail(self) -> None:
        _log.exception("a stream failed unexpectedly")
        self.stop(unexpected())

    def _end(self, fields: bytes) -> None:
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
        self._carrier.http2.send_trailers(self._stream_id, fields if self._opened else OPENING + fields)
        self._carrier.end_call(self._stream_id)
