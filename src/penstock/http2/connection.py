"""The server's end of one connection: bytes in, events and bytes out (RFC 9113).

Whoever owns a connection writes what `output` returns after every call. It has no clock: its owner calls `second_passed`
once in a second. Streams go by their numbers; what is said of a stream that is closed by now is ignored, as both sides may close it.
"""

from collections.abc import Callable
from typing import Any, Final

from penstock.http2 import frames
from penstock.http2.controlled import SMALL_BYTES, Controlled
from penstock.http2.errors import Code, ConnectionFault, Malformed, StreamFault
from penstock.http2.events import Event, H, Opened, Over, Received, Reset
from penstock.http2.field_blocks import FieldBlocks
from penstock.http2.frame_reader import Frame, FrameReader, unpadded
from penstock.http2.requests import Request, check_trailers
from penstock.http2.settings import Limits
from penstock.http2.streams import HALF_CLOSED_LOCAL, PEER_ENDS, RECEIVING, Stream

_TINY_BYTES: Final = 5
"""A piece of DATA below it costs more to take than to send; small messages of streams are longer."""


class ServerConnection(Controlled[H]):
    """Lives on one thread. `read` turns a request's fields into what the owner wants to know of them, once for many requests."""

    def __init__(self, read: Callable[[Request], H], limits: Limits) -> None:
        super().__init__(limits)
        self._reader = FrameReader(limits.max_frame_bytes)
        self._blocks = FieldBlocks(read, limits.max_header_bytes)
        self._gathered: tuple[int, bool, bytearray] | None = None
        """Of a field block in several frames: its stream, whether it ends that, and what is here of it."""

    @property
    def greeted(self) -> bool:
        """Whether the client's preface is here."""
        return self._reader.greeted

    @property
    def unfinished(self) -> tuple[int, int] | None:
        """What is half here of a frame or a field block, as a number of its own and the bytes of it; None between frames."""
        if self._gathered is not None:
            return -self._gathered[0], len(self._gathered[2])
        return (self._reader.turns, held) if (held := self._reader.held_bytes) else None

    def receive(self, data: bytes) -> list[Event[H]]:
        """Take bytes of any number; returns what they bring."""
        events = self._events = []
        if self.is_over:
            return events
        try:
            for frame in self._reader.frames(data):
                try:
                    self._take(frame)
                except StreamFault as fault:
                    self._refuse(fault)
        except ConnectionFault as fault:
            self.close(fault.code, fault.message)
            events.append(Over(fault.code, fault.message))
        return events

    def _take(self, frame: Frame) -> None:
        if self._gathered is not None and frame.kind != frames.CONTINUATION:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a field block is interrupted by another frame")
        if frame.kind == frames.DATA and frame.stream_id:  # first, and by its name: as most of what comes
            self.take_data(frame)
            return
        take = (_OF_STREAMS if frame.stream_id else _OF_CONNECTIONS).get(frame.kind)
        if take is not None:
            take(self, frame)
        elif frame.kind <= frames.CONTINUATION:
            raise ConnectionFault(Code.PROTOCOL_ERROR, f"a frame of type {frame.kind} on stream {frame.stream_id}")
        else:
            self._idle.spend()

    def take_data(self, frame: Frame) -> None:
        """Take a piece of a body (section 6.1)."""
        size, stream = len(frame.payload), self._streams.get(frame.stream_id)
        if not self._window.take(size):
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more DATA than the window of the connection allows")
        if stream is None:
            self._drop(frame, size)
            return
        if stream.state not in RECEIVING:
            self._consume(size)
            raise StreamFault(stream.id, Code.STREAM_CLOSED, "DATA behind the end of a stream")
        if not stream.receive_window.take(size):
            raise StreamFault(stream.id, Code.FLOW_CONTROL_ERROR, "more DATA than the window of the stream allows")
        data = unpadded(frame)
        if len(data) != size:
            self.consumed(stream.id, size - len(data))
        self._take_body(stream, data, ended=bool(frame.flags & frames.END_STREAM))

    def _drop(self, frame: Frame, size: int) -> None:
        """Take DATA that was under way when its stream was closed (section 5.1): no more than the window of the stream had allowed."""
        if size < _TINY_BYTES:
            self._idle.spend()
        self._check_closed(frame)
        self._ignored[frame.stream_id] -= size
        if self._ignored[frame.stream_id] < 0:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more DATA than the window of a stream that is closed allowed")
        self._consume(size)

    def _take_body(self, stream: Stream, data: bytes, *, ended: bool) -> None:
        if len(data) >= SMALL_BYTES:
            self._idle.refill()
        elif len(data) < _TINY_BYTES and not (data and ended):
            self._idle.spend()
        if stream.body_left is not None:
            stream.body_left -= len(data)
            if stream.body_left < 0 or (ended and stream.body_left):
                raise StreamFault(stream.id, Code.PROTOCOL_ERROR, "the body has another length than content-length says")
        self._pass_on(stream, data, ended=ended)

    def take_headers(self, frame: Frame) -> None:
        """Take the fields that begin a request, or end its body (section 6.2)."""
        block = unpadded(frame)
        if frame.flags & frames.HAS_PRIORITY:
            if len(block) < frames.PRIORITY_BYTES:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "HEADERS have no room for their priority")
            block = block[frames.PRIORITY_BYTES :]
        ended = bool(frame.flags & frames.END_STREAM)
        if frame.flags & frames.END_HEADERS:
            self._take_block(frame.stream_id, block, ended=ended)
        else:
            self._gathered = frame.stream_id, ended, bytearray(block)

    def take_continuation(self, frame: Frame) -> None:
        """Take more of such fields (section 6.10)."""
        if self._gathered is None or self._gathered[0] != frame.stream_id:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "CONTINUATION that continues nothing")
        stream_id, ended, gathered = self._gathered
        gathered += frame.payload
        self._check_length(len(gathered))
        if frame.flags & frames.END_HEADERS:
            self._gathered = None
            self._take_block(stream_id, bytes(gathered), ended=ended)
        elif len(frame.payload) < SMALL_BYTES:
            self._idle.spend()

    def _check_length(self, block_bytes: int) -> None:
        if block_bytes > self._blocks.max_block_bytes:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "a field block is far longer than allowed")

    def _take_block(self, stream_id: int, block: bytes, *, ended: bool) -> None:
        self._check_length(len(block))
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._take_trailers(stream, block, ended=ended)
        elif stream_id % 2 == 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, f"HEADERS on stream {stream_id}; clients open streams of odd numbers")
        elif stream_id <= self._last_id:
            if stream_id not in self._ignored:
                raise ConnectionFault(Code.STREAM_CLOSED, f"HEADERS on stream {stream_id}, which is closed")
            self._blocks.fields(block)
            self._idle.spend()
        else:
            self._open(stream_id, block, ended=ended)

    def _open(self, stream_id: int, block: bytes, *, ended: bool) -> None:
        self._last_id = stream_id
        try:
            read = self._blocks.head(block)
        except Malformed as error:
            raise StreamFault(stream_id, Code.PROTOCOL_ERROR, str(error)) from error
        if stream_id > self._last_taken:
            self._ignore(stream_id)
            return
        if len(self._streams) >= self._limits.max_streams:
            raise StreamFault(stream_id, Code.REFUSED_STREAM, f"more than {self._limits.max_streams} streams are open")
        head, body_bytes = read or (None, None)
        if ended and body_bytes:
            raise StreamFault(stream_id, Code.PROTOCOL_ERROR, "content-length announces a body, and there is none")
        stream = Stream(stream_id, self._limits.stream_window_bytes, self._outbox.peer.window_bytes, body_bytes)
        if ended:
            stream.step(PEER_ENDS)
        self._streams[stream_id] = stream
        self._events.append(Opened(stream_id, head, ended))

    def _take_trailers(self, stream: Stream, block: bytes, *, ended: bool) -> None:
        fields = self._blocks.fields(block)
        if stream.state not in RECEIVING:
            raise StreamFault(stream.id, Code.STREAM_CLOSED, "HEADERS behind the end of a stream")
        if not ended or stream.body_left:
            raise StreamFault(stream.id, Code.PROTOCOL_ERROR, "HEADERS in the middle of a body")
        try:
            check_trailers(fields)
        except Malformed as error:
            raise StreamFault(stream.id, Code.PROTOCOL_ERROR, str(error)) from error
        self._pass_on(stream, b"", ended=True)

    def _pass_on(self, stream: Stream, data: bytes, *, ended: bool) -> None:
        answered = stream.state is HALF_CLOSED_LOCAL
        if ended:
            self._step(stream, PEER_ENDS)
        if answered and not ended:
            self.reset(stream.id, Code.NO_ERROR)  # the peer may stop: it has its answer (section 8.1)
        elif not answered and stream.trailers is None:
            self._events.append(Received(stream.id, data, ended))

    def _check_closed(self, frame: Frame) -> None:
        """Raise `ConnectionFault` unless the peer could not know that the stream is closed."""
        self._check_known(frame)
        if frame.stream_id not in self._ignored:
            raise ConnectionFault(Code.STREAM_CLOSED, f"DATA on stream {frame.stream_id}, which is closed")

    def _refuse(self, fault: StreamFault) -> None:
        """Reset the stream on which the peer has broken a rule."""
        if fault.stream_id > self._last_id:  # an idle stream cannot be reset
            raise ConnectionFault(fault.code, fault.message)
        self._resets.spend()
        if fault.stream_id in self._streams:
            self.reset(fault.stream_id, fault.code)
            self._events.append(Reset(fault.stream_id, fault.code))
        else:
            self._outbox.parts.append(frames.reset(fault.stream_id, fault.code))
            self._ignore(fault.stream_id)


_Take = Callable[[ServerConnection[Any], Frame], None]
_OF_STREAMS: Final[dict[int, _Take]] = {
    frames.HEADERS: ServerConnection.take_headers,
    frames.PRIORITY: ServerConnection.take_priority,
    frames.RST_STREAM: ServerConnection.take_reset,
    frames.PUSH_PROMISE: ServerConnection.take_push,
    frames.WINDOW_UPDATE: ServerConnection.take_window_update,
    frames.CONTINUATION: ServerConnection.take_continuation,
}
"""What takes a frame of a stream, by its type; DATA is taken without asking."""
_OF_CONNECTIONS: Final[dict[int, _Take]] = {
    frames.SETTINGS: ServerConnection.take_settings,
    frames.PING: ServerConnection.take_ping,
    frames.GOAWAY: ServerConnection.take_goaway,
    frames.WINDOW_UPDATE: ServerConnection.take_window_update,
}
"""The same for stream 0."""
