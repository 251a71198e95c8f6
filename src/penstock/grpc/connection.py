"""One connection of the native transport: a socket below, calls above, HTTP/2 between them."""

import asyncio
import contextlib
import logging
from functools import partial
from typing import Final, Protocol

from penstock.domain.clock import monotonic
from penstock.domain.errors import Unavailable
from penstock.grpc.alarm import Alarm
from penstock.grpc.arrivals import Arrivals, Arriving
from penstock.grpc.call import CallInfo
from penstock.grpc.call_head import TOO_LONG, CallHead, head_of
from penstock.grpc.methods import Methods
from penstock.grpc.native_call import Call, RefusedCall, UnaryCall
from penstock.grpc.native_stream import StreamCall
from penstock.grpc.options import GrpcOptions
from penstock.grpc.patience import Patience
from penstock.grpc.peer import peer_of, speaks_http2
from penstock.http2.connection import ServerConnection
from penstock.http2.errors import Code
from penstock.http2.events import Drained, Event, Opened, Over, Received, Reset
from penstock.http2.settings import Limits

_log = logging.getLogger(__name__)
_FEW_PARTS: Final = 64
_SMALL_BYTES: Final = 256 * 1024
"""Up to it, parts are joined: one write costs less than many, and copying little costs nothing."""
_FRAME_BYTES: Final = 128 * 1024
"""The largest frame that is taken: large messages come in fewer pieces, of which each costs some microseconds."""
_BUFFER_BYTES: Final = 1 << 20
"""What may wait in the socket's buffer before no more is read from the client."""
_SHUTTING_DOWN: Final = Unavailable("the server is shutting down; send further calls to another one")


class Listener(Protocol):
    """Where connections come from."""

    @property
    def options(self) -> GrpcOptions:
        """What the user says about all connections."""

    @property
    def methods(self) -> Methods:
        """What can be called."""

    @property
    def crowded(self) -> bool:
        """Whether connections that are refused are closed at once."""

    def enter(self, connection: "GrpcConnection") -> bool:
        """Take a connection in, or return False if there are too many."""

    def leave(self, connection: "GrpcConnection") -> None:
        """Forget a connection."""


class GrpcConnection(asyncio.Protocol):
    """Lives on the event loop."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._options = listener.options
        self.max_message_bytes = listener.options.max_message_bytes
        self._patience = Patience(listener.options, monotonic())
        self._arrivals = Arrivals(listener.options)
        self._calls: dict[int, Call] = {}
        self._alarm = Alarm(self._calls)
        self._flushes = False
        """Whether a flush is about to come."""
        self._unwritten_bytes = 0
        """Of messages in streams that wait for a flush."""
        self.is_writable = True
        """Whether the socket takes more."""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it: there are too many, or it has not agreed on HTTP/2."""
        self._transport = transport
        transport.set_write_buffer_limits(_BUFFER_BYTES)
        read = partial(head_of, self._listener.methods, peer=peer_of(transport))
        self.http2: ServerConnection[CallHead] = ServerConnection(read, limits_of(self._options))
        if not self._listener.enter(self):
            self.http2.close(Code.ENHANCE_YOUR_CALM, "the server has as many connections as it takes; try again soon")
        elif not speaks_http2(transport):
            self.http2.close(Code.INADEQUATE_SECURITY, "ask for 'h2' by ALPN")
        self._write()
        if self._listener.crowded:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Take bytes, from half a frame to many calls."""
        if self._patience.lingers:
            return
        self._patience.hear()
        self._flushes = True
        for event in self.http2.receive(data):
            self._take(event)
        self._write()

    def _take(self, event: Event[CallHead]) -> None:
        if isinstance(event, Received):
            self._take_body(event.stream_id, event.data, ended=event.ended)
        elif isinstance(event, Opened):
            self._open(event.stream_id, event.head or TOO_LONG, ended=event.ended)
        elif isinstance(event, Reset):
            self._drop(event.stream_id)
        elif isinstance(event, Drained):
            self._drained(event.stream_id)
        elif isinstance(event, Over):
            _log.debug("a connection from %s broke a rule: %s (%s)", peer_of(self._transport), event.message, event.code.name)
            self._drop_all()

    def _open(self, stream_id: int, head: CallHead, *, ended: bool) -> None:
        if head.refusal:
            self._refuse(stream_id, head.refusal, ended=ended)
            return
        info = head.info
        if head.timeout_ns is not None:
            info = CallInfo(info.metadata, monotonic() + head.timeout_ns, info.peer, info.caller)
        if head.unary is not None:
            self._calls[stream_id] = UnaryCall(self, stream_id, head.encoding, info, head.unary)
        elif head.stream is not None:
            stream = self._calls[stream_id] = StreamCall(self, stream_id, head.encoding, info.deadline_ns)
            stream.start(head.stream, info)
        if info.deadline_ns is not None:
            self._alarm.expect(info.deadline_ns)
        if ended and (call := self._calls.get(stream_id)) is not None:
            call.received(b"", ended=True)

    def _refuse(self, stream_id: int, answer: bytes, *, ended: bool) -> None:
        if ended:
            self.http2.send_trailers(stream_id, answer)
        else:
            self._calls[stream_id] = RefusedCall(self, stream_id, answer)

    def _take_body(self, stream_id: int, data: bytes, *, ended: bool) -> None:
        call = self._calls.get(stream_id)
        if call is not None:
            call.received(data, ended=ended)
        else:
            self.http2.consumed(stream_id, len(data))

    def end_call(self, stream_id: int) -> None:
        """Forget a call that is over."""
        self._calls.pop(stream_id, None)
        self.flush_soon()

    def flush_soon(self) -> None:
        """Write once this turn of the event loop is over: what ends in one turn leaves in one write."""
        if not self._flushes:
            self._flushes = True
            self._loop.call_soon(self._write)

    def sent(self, size: int) -> bool:
        """Write what was sent by now before long, or at once if it is much; returns whether the socket takes more."""
        self._unwritten_bytes += size
        if self._unwritten_bytes > _SMALL_BYTES:
            self._write()
        self.flush_soon()
        return self.is_writable

    def _write(self) -> None:
        self._flushes, self._unwritten_bytes = False, 0
        parts = self.http2.output()
        if self._patience.lingers or self._transport.is_closing():
            return
        if parts:
            if len(parts) <= _FEW_PARTS or sum(map(len, parts)) <= _SMALL_BYTES:
                self._transport.write(b"".join(parts))
            else:
                self._transport.writelines(parts)
        if self.http2.has_left:
            self._end()

    def _end(self) -> None:
        """Send no more, and drop what still comes: closing at once would turn unread bytes into a reset that outruns the last words."""
        self._patience.linger(monotonic())
        if not self._transport.can_write_eof():
            self._transport.close()
            return
        with contextlib.suppress(OSError):  # the client has gone already
            self._transport.write_eof()
        self._transport.resume_reading()

    def _drained(self, stream_id: int) -> None:
        call = self._calls.get(stream_id)
        if call is not None:
            call.drained()

    def _drop(self, stream_id: int) -> None:
        call = self._calls.pop(stream_id, None)
        if call is not None:
            call.cancel()

    def _drop_all(self) -> None:
        for stream_id in list(self._calls):
            self._drop(stream_id)

    def pause_writing(self) -> None:
        """Read no more while the client does not read its answers."""
        self.is_writable = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self.is_writable = True
        self._transport.resume_reading()
        for call in list(self._calls.values()):
            call.send_more()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Cancel what the client no longer waits for."""
        self._listener.leave(self)
        self._drop_all()
        self._alarm.cancel()

    def begin_leaving(self) -> None:
        """Ask the client to go elsewhere; calls under way go on."""
        self._patience.stir()
        self.http2.begin_leaving()
        self.flush_soon()

    def stop(self) -> None:
        """End all calls and the connection."""
        for call in list(self._calls.values()):
            call.stop(_SHUTTING_DOWN)
        self.http2.close(Code.NO_ERROR, "the server is shutting down")
        self._write()

    def reset(self, stream_id: int) -> None:
        """Call off a call, and tell the client so."""
        self.http2.reset(stream_id, Code.CANCEL)
        self._drop(stream_id)

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    def watch(self, now_ns: int) -> None:
        """Do what is due, and end what has taken too long."""
        if self._patience.rests(now_ns):
            return
        for stream_id, _ in self._arrivals.late(self._arriving(), now_ns):
            if stream_id in self._calls:
                self._calls[stream_id].give_up()
            else:
                self.http2.close(Code.ENHANCE_YOUR_CALM, "a frame did not arrive within grpc.message_timeout_s")
                self._drop_all()
        self._patience.watch(self, now_ns)
        self._write()

    def _arriving(self) -> dict[Arriving, int]:
        """Return what is on its way, and how much of it is here; nothing while it is we who let the client wait."""
        here: dict[Arriving, int] = {}
        if not self.is_writable or self.http2.holds_back or self.http2.is_over:
            return here
        if (unfinished := self.http2.unfinished) is not None:
            here[0, unfinished[0]] = unfinished[1]
        for stream_id, call in self._calls.items():
            if (arriving := call.arriving) is not None:
                here[stream_id, arriving[0]] = arriving[1]
        return here

    @property
    def greeted(self) -> bool:
        """Whether the client has said what it speaks."""
        return self.http2.greeted

    @property
    def is_busy(self) -> bool:
        """Whether anything is half done, in either direction."""
        http2 = self.http2
        return not http2.greeted or http2.leaving or http2.open_streams > 0 or http2.unfinished is not None or self.unsent_bytes > 0

    @property
    def unsent_bytes(self) -> int:
        """What waits in the socket's buffer."""
        return self._transport.get_write_buffer_size()


def limits_of(options: GrpcOptions) -> Limits:
    """Return what clients may do."""
    return Limits(max_streams=options.max_streams, max_header_bytes=options.max_metadata_bytes, max_frame_bytes=_FRAME_BYTES)
