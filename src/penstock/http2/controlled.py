"""The frames that carry no request: they reset, allow, ask for signs of life and open windows (RFC 9113, sections 6.3 to 6.9)."""

from typing import Final, Generic

from penstock.http2 import frames
from penstock.http2.errors import Code, ConnectionFault, StreamFault
from penstock.http2.events import Drained, Event, H, Ponged, Reset
from penstock.http2.frame_reader import Frame
from penstock.http2.sending import LEAVING, Sending
from penstock.http2.settings import Limits
from penstock.http2.streams import RESETS, Stream

SMALL_BYTES: Final = 1_024
"""From it on, a piece of DATA brings a request further; below it, a piece of a window does not."""


class Controlled(Sending, Generic[H]):
    """A connection as far as these frames go; each of `take_...` raises `ConnectionFault` or `StreamFault`."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._events: list[Event[H]] = []
        """What the bytes that are being received have brought."""

    def take_priority(self, frame: Frame) -> None:
        """Ignore it, as RFC 9113 allows; only its form is looked at."""
        self._idle.spend()
        if len(frame.payload) != frames.PRIORITY_BYTES:
            raise StreamFault(frame.stream_id, Code.FRAME_SIZE_ERROR, f"PRIORITY of {len(frame.payload)} bytes; it has 5")

    def take_reset(self, frame: Frame) -> None:
        """End a stream for the peer."""
        if len(frame.payload) != frames.WORD.size:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"RST_STREAM of {len(frame.payload)} bytes; it has 4")
        self._check_known(frame)
        stream = self._streams.get(frame.stream_id)
        if stream is None:
            self._idle.spend()
            return
        self._step(stream, RESETS)
        self._events.append(Reset(stream.id, *frames.WORD.unpack(frame.payload)))
        self._resets.spend()

    def take_settings(self, frame: Frame) -> None:
        """Take over what the peer allows, and say so."""
        self._idle.spend()
        if frame.flags & frames.ACK:
            if frame.payload:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS that is not empty")
            return
        before = self._outbox.peer.window_bytes
        self._outbox.peer.apply(frame.payload)
        self._outbox.parts.append(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))
        self._widen_all(self._outbox.peer.window_bytes - before)

    def _widen_all(self, by: int) -> None:
        """Let the windows of all streams follow the one of streams that begin (section 6.9.2)."""
        if not by:
            return
        for stream in self._streams.values():
            stream.send_window += by
            if stream.send_window > frames.LARGEST_WINDOW:
                raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "SETTINGS open the window of a stream beyond 2^31-1")
        self._room()

    def take_push(self, _frame: Frame) -> None:
        """Clients push nothing."""
        raise ConnectionFault(Code.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def take_ping(self, frame: Frame) -> None:
        """Answer, or hear an answer."""
        self._idle.spend()
        if len(frame.payload) != frames.PING_BYTES:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"PING of {len(frame.payload)} bytes; it has 8")
        if not frame.flags & frames.ACK:
            self._outbox.parts.append(frames.frame(frames.PING, frames.ACK, 0, frame.payload))
        elif frame.payload == LEAVING and self.leaving:
            self.finish_leaving()
        else:
            self._events.append(Ponged(frame.payload))

    def take_goaway(self, frame: Frame) -> None:
        """Ignore it: the peer closes the connection when it likes, and what it has asked is answered."""
        self._idle.spend()
        if len(frame.payload) < 2 * frames.WORD.size:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"GOAWAY of {len(frame.payload)} bytes; it has at least 8")

    def take_window_update(self, frame: Frame) -> None:
        """Send what there is room for now."""
        if len(frame.payload) != frames.WORD.size:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"WINDOW_UPDATE of {len(frame.payload)} bytes; it has 4")
        (word,) = frames.WORD.unpack(frame.payload)
        by = word & frames.LARGEST_WINDOW
        if by < SMALL_BYTES:
            self._idle.spend()
        if frame.stream_id:
            self._check_known(frame)
            self._widen(frame.stream_id, by)
            return
        self._outbox.window += by
        if not by:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        if self._outbox.window > frames.LARGEST_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "WINDOW_UPDATE opens the connection beyond 2^31-1")
        self._room()

    def _widen(self, stream_id: int, by: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if not by:
            raise StreamFault(stream_id, Code.PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        stream.send_window += by
        if stream.send_window > frames.LARGEST_WINDOW:
            raise StreamFault(stream_id, Code.FLOW_CONTROL_ERROR, "WINDOW_UPDATE opens the stream beyond 2^31-1")
        self._room(stream)

    def _room(self, only: Stream | None = None) -> None:
        self._events += map(Drained, self._go_on(only))

    def _check_known(self, frame: Frame) -> None:
        """Raise `ConnectionFault` for a frame on a stream that nobody has opened."""
        if frame.stream_id > self._last_id or frame.stream_id % 2 == 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, f"a frame of type {frame.kind} on stream {frame.stream_id}, which is idle")
