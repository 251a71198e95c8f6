"""The half of a connection that sends: answers, resets, windows, and the way out."""

from typing import Final

from penstock.http2 import frames
from penstock.http2.allowance import Allowance
from penstock.http2.errors import Code
from penstock.http2.outbox import Outbox
from penstock.http2.settings import SMALLEST_MAX_FRAME, Limits
from penstock.http2.streams import (
    CLOSED,
    HALF_CLOSED_LOCAL,
    HALF_CLOSED_REMOTE,
    RECEIVING,
    RESETS,
    WE_END,
    Buffer,
    Step,
    Stream,
)
from penstock.http2.windows import ReceiveWindow

LEAVING: Final = b"leaving."
"""What is in the PING that tells when the first GOAWAY has arrived."""
_MOST_IGNORED: Final = 1_000


class Sending:
    """The streams that are open, and what is done to them from our side. What is said of a stream that is closed by now is ignored."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._outbox = Outbox()
        self._outbox.parts.append(limits.frames())
        self._window = ReceiveWindow(limits.window_bytes)
        self._streams: dict[int, Stream] = {}
        self._last_id = 0
        self._last_taken = frames.LARGEST_ID
        """The last stream that is answered, as the last GOAWAY says."""
        self._ignored: dict[int, int] = {}
        """What the peer may still send on streams that we have closed before it had, in bytes of DATA; the youngest of them."""
        self._early: set[int] = set()
        self._early_before: set[int] = set()
        """Streams that were answered while the peer was still sending, now and a second ago."""
        self._idle = Allowance(limits.idle_frames, "frames that ask for nothing")
        self._resets = Allowance(limits.resets, "streams that were reset")
        self.is_over = False
        """Whether nothing is read any more."""
        self.leaving = False
        """Whether a GOAWAY has said that the connection should not be used any more."""

    @property
    def open_streams(self) -> int:
        """Streams that are not closed."""
        return len(self._streams)

    @property
    def has_left(self) -> bool:
        """Whether the connection can be closed: it is over, or no stream is open or will be."""
        return self.is_over or (self._last_taken < frames.LARGEST_ID and not self._streams)

    @property
    def holds_back(self) -> bool:
        """Whether the window of the connection is all but shut, since what was received was not consumed."""
        return self._window.left < SMALLEST_MAX_FRAME

    def receives(self, stream_id: int) -> bool:
        """Tell whether the peer has more to send on a stream."""
        stream = self._streams.get(stream_id)
        return stream is not None and stream.state in RECEIVING

    def output(self) -> list[Buffer]:
        """Return what is to be written now, and forget it."""
        parts, self._outbox.parts = self._outbox.parts, []
        return parts

    def second_passed(self) -> None:
        """Forget how often the peer has asked for nothing, and count how long DATA has waited."""
        self._idle.refill()
        self._resets.refill()
        self._outbox.second_passed()
        for stream_id in self._early & self._early_before:
            self.reset(stream_id, Code.NO_ERROR)  # a peer that is still sending may stop (section 8.1)
        self._early_before = self._early & self._streams.keys()
        self._early = set(self._early_before)

    def stalled(self, seconds: float) -> list[int]:
        """Return the streams whose DATA has waited for so long without any of it finding room."""
        return self._outbox.stalled(seconds)

    def answer(self, stream_id: int, block: bytes, body: bytes, trailers: bytes) -> None:
        """Send a whole answer: its fields, its body, and the fields behind it."""
        stream = self._sendable(stream_id)
        if stream is None:
            return
        if self._outbox.answer(stream, block, body, trailers):
            self._ended(stream)
            return
        self._outbox.headers(stream_id, block, end=False)
        self._outbox.data(stream, body)
        self._end(stream, trailers)

    def send_headers(self, stream_id: int, block: bytes) -> None:
        """Send the fields of an answer whose body is to come."""
        if self._sendable(stream_id) is not None:
            self._outbox.headers(stream_id, block, end=False)

    def send_data(self, stream_id: int, data: Buffer) -> bool:
        """Send a part of a body, not empty; returns whether all of it has passed, else `Drained` follows once it has."""
        stream = self._sendable(stream_id)
        self._idle.refill()
        return stream is None or self._outbox.data(stream, data)

    def send_trailers(self, stream_id: int, block: bytes) -> None:
        """End an answer with fields; they are the whole answer if nothing else was sent."""
        stream = self._sendable(stream_id)
        if stream is not None:
            self._end(stream, block)

    def reset(self, stream_id: int, code: Code) -> None:
        """End a stream at once; what waits on it is dropped."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._outbox.parts.append(frames.reset(stream_id, code))
            self._ignore(stream_id)
            self._step(stream, RESETS)

    def consumed(self, stream_id: int, size: int) -> None:
        """Say that there is room for as much more as was received; of a closed stream all counts as consumed."""
        stream = self._streams.get(stream_id)
        if stream is None or not size:
            return
        increment = stream.receive_window.consumed(size)
        if increment and stream.state is not HALF_CLOSED_REMOTE:
            self._outbox.parts.append(frames.window_update(stream_id, increment))
        self._consume(size)

    def ping(self, payload: bytes) -> None:
        """Ask for a sign of life, with 8 bytes; `Ponged` brings them back."""
        self._outbox.parts.append(frames.frame(frames.PING, 0, 0, payload))

    def begin_leaving(self) -> None:
        """Ask the peer to open no more streams. Those that are on their way are still taken, until the peer has heard of it."""
        if not self.leaving and not self.is_over:
            self.leaving = True
            self._outbox.parts.append(frames.goaway(frames.LARGEST_ID, Code.NO_ERROR, "leaving"))
            self.ping(LEAVING)

    def finish_leaving(self) -> None:
        """Take no more streams, and say which was the last; comes by itself once the peer has answered to `begin_leaving`."""
        if self._last_taken == frames.LARGEST_ID and not self.is_over:
            self.leaving = True
            self._last_taken = self._last_id
            self._outbox.parts.append(frames.goaway(self._last_id, Code.NO_ERROR, "leaving"))

    def close(self, code: Code, reason: str) -> None:
        """End the connection and everything on it."""
        if self.is_over:
            return
        self.is_over = True
        self._outbox.parts.append(frames.goaway(min(self._last_id, self._last_taken), code, reason))
        for stream in list(self._streams.values()):
            self._step(stream, RESETS)

    def _sendable(self, stream_id: int) -> Stream | None:
        """Return the stream if its answer has not come to its end."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.trailers is not None or stream.state is HALF_CLOSED_LOCAL:
            return None
        return stream

    def _end(self, stream: Stream, block: bytes) -> None:
        if self._outbox.trailers(stream, block):
            self._ended(stream)

    def _ended(self, stream: Stream) -> None:
        """Note that an answer is written."""
        self._step(stream, WE_END)
        if stream.state is HALF_CLOSED_LOCAL:
            self._early.add(stream.id)
        self._idle.refill()
        self._resets.earn()

    def _step(self, stream: Stream, step: Step) -> None:
        """Go on to a stream's next state, and forget it if that is the last one."""
        stream.step(step)
        if stream.state is not CLOSED:
            return
        del self._streams[stream.id]
        if stream.queue is not None:
            self._outbox.forget(stream)
        if unconsumed := stream.receive_window.unconsumed:
            self._consume(unconsumed)

    def _ignore(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        self._ignored[stream_id] = self._limits.stream_window_bytes if stream is None else stream.receive_window.left
        if len(self._ignored) > _MOST_IGNORED:
            del self._ignored[next(iter(self._ignored))]

    def _consume(self, size: int) -> None:
        increment = self._window.consumed(size)
        if increment and not self.is_over:
            self._outbox.parts.append(frames.window_update(0, increment))

    def _go_on(self, only: Stream | None = None) -> list[int]:
        """Write what has room now; returns the streams that wait for nothing any more and are still open."""
        still_open = []
        for stream in self._outbox.go_on(only):
            if stream.trailers is None:
                still_open.append(stream.id)
            else:
                self._outbox.headers(stream.id, stream.trailers, end=True)
                self._ended(stream)
        return still_open
