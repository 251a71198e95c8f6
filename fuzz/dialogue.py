"""A peer over HTTP/2 that says anything, an owner that does anything, and what must hold whatever they do."""

import random
from collections import Counter
from typing import Any, Final

from hpack import Encoder

from penstock.http2 import frames
from penstock.http2.connection import ServerConnection
from penstock.http2.errors import Code
from penstock.http2.events import Drained, Opened, Over, Ponged, Received, Reset
from penstock.http2.fields import STATUS_OK, field
from penstock.http2.settings import DEFAULT_WINDOW, SMALLEST_MAX_FRAME, Limits

FIELDS: Final = [(":method", "POST"), (":scheme", "http"), (":path", "/a"), (":authority", "b")]
LIMITS: Final = Limits(max_streams=4, stream_window_bytes=200, window_bytes=70_000, max_header_bytes=500, idle_frames=60, resets=20)
IDS: Final = (0, 1, 1, 1, 3, 3, 5, 7, 9, 11, 2, 0x7FFFFFFF)
SETTINGS: Final = [(1, 0), (1, 4096), (2, 0), (2, 2), (3, 1), (4, 0), (4, 10), (4, 65_535), (4, 0x7FFFFFFF), (5, 16_384), (5, 1), (9, 9)]
_BODIES: Final = (0, 1, 100, 20_000, 60_000)
"""Sizes of answers; two of the largest are more than all streams together may have at first."""


class Dialogue:
    """A peer that says anything, an owner that does anything, and what must hold whatever they do."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.server: ServerConnection[Any] = ServerConnection(lambda request: request, LIMITS)
        self.encoder = Encoder()
        self.last_opened = 0
        self.opened: set[int] = set()
        self.open: set[int] = set()
        """What the owner believes to be open."""
        self.unread: Counter[int] = Counter()
        self.ended: set[int] = set()
        """Streams that the server has ended or reset."""
        self.started: set[int] = set()
        self.is_over = False
        self.allowed: Counter[int] = Counter({0: DEFAULT_WINDOW})
        """How much DATA the peer has allowed on a stream beyond its first window, and on all of them together (0)."""
        self.sent: Counter[int] = Counter()
        """How much has come."""
        self.first_windows = [DEFAULT_WINDOW]
        """The size of a stream's first window that the server has acknowledged, then those that it may not know yet."""

    def run(self, steps: int) -> None:
        """Go on for so many steps."""
        self.allow(frames.settings([]))
        self.hear(frames.PREFACE + frames.settings([]))
        for _ in range(steps):
            self.go_on()

    def go_on(self) -> None:
        """Say something in two pieces, and do something between them."""
        said = [self.said() for _ in range(self.rng.randrange(1, 4))]
        for frame in said:
            self.allow(frame)
        data = b"".join(said)
        cut = self.rng.randrange(len(data) + 1)
        self.hear(data[:cut])
        self.act()
        self.hear(data[cut:])

    def allow(self, frame: bytes) -> None:
        """Remember what a frame lets the server send."""
        *_, kind, flags, stream_id = frames.HEAD.unpack_from(frame)
        payload = frame[frames.HEAD_BYTES :]
        if kind == frames.WINDOW_UPDATE and len(payload) == 4:
            self.allowed[stream_id] += int.from_bytes(payload, "big") & frames.LARGEST_WINDOW
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            found = [int.from_bytes(payload[at + 2 : at + 6], "big") for at in range(0, len(payload), 6) if payload[at : at + 2] == b"\0\4"]
            self.first_windows.append(found[-1] if found else self.first_windows[-1])

    def said(self) -> bytes:
        """Return a frame: mostly one that makes sense."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.3:
            flags = rng.choice([4, 5] if kind < 0.285 else [0, 1, 13])
            fields = FIELDS + ([("x", str(rng.randrange(3)))] if rng.random() < 0.5 else [])
            return frames.frame(frames.HEADERS, flags, self.last_opened + 1 + self.last_opened % 2, self.encoder.encode(fields))
        if kind < 0.94:
            return self._sensible()
        if kind < 0.96:
            return frames.settings(rng.sample(SETTINGS, rng.randrange(3)))
        anything, size = rng.randrange(11), rng.choice([0, 1, 4, 5, 8, 30])
        return frames.frame(anything, rng.randrange(256), rng.choice(IDS), rng.randbytes(size))

    def _sensible(self) -> bytes:
        rng = self.rng
        stream_id = rng.choice(sorted(self.open)) if self.open and rng.random() < 0.98 else rng.choice(IDS)
        match rng.randrange(7):
            case 0 | 1 | 2 if stream_id in self.open:
                return frames.frame(frames.DATA, rng.choice([0, 0, 1]), stream_id, rng.randbytes(rng.randrange(60)))
            case 3 if stream_id in self.open:
                by = rng.choice([1, 50, 2_000, 0x7FFFFFFF if rng.random() < 0.1 else 7])
                return frames.frame(frames.WINDOW_UPDATE, 0, rng.choice([0, stream_id]), by.to_bytes(4, "big"))
            case 4 if stream_id in self.open:
                return frames.frame(frames.RST_STREAM, 0, stream_id or 1, rng.randbytes(4))
            case 5:
                return frames.frame(frames.PRIORITY, 0, stream_id or 1, rng.randbytes(5))
        return frames.frame(frames.PING, rng.randrange(2), 0, rng.randbytes(8))

    def hear(self, data: bytes) -> None:
        """Let the server receive."""
        for event in self.server.receive(data):
            assert not self.is_over, "an event behind the end"
            self.note(event)
        assert self.server.open_streams <= LIMITS.max_streams
        assert self.server.is_over is self.is_over
        self.look()

    def note(self, event: Any) -> None:
        """Check that an event can be."""
        match event:
            case Opened(stream_id, _, _):
                assert stream_id % 2 == 1
                assert stream_id > self.last_opened
                self.last_opened = stream_id
                self.opened.add(stream_id)
                self.open.add(stream_id)
            case Received(stream_id, data, _):
                assert stream_id in self.open
                self.unread[stream_id] += len(data)
                assert self.unread[stream_id] <= LIMITS.stream_window_bytes
            case Reset(stream_id, _):
                self.open.discard(stream_id)
            case Over():
                self.is_over = True
            case _:
                assert isinstance(event, Drained | Ponged)

    def act(self) -> None:
        """Do something as the owner, sometimes to a stream that is gone."""
        rng = self.rng
        stream_id = rng.choice([*self.open, 1, 99]) if self.open else 1
        match rng.randrange(8):
            case 0 | 1:
                self.server.answer(stream_id, STATUS_OK, bytes(rng.choice(_BODIES)), field("status", b"0"))
                self.open.discard(stream_id)
            case 2:
                self.server.send_trailers(stream_id, STATUS_OK)
                self.open.discard(stream_id)
            case 3:
                self.server.reset(stream_id, Code.CANCEL)
                self.open.discard(stream_id)
            case 4 if stream_id in self.open:
                self.server.second_passed()
            case 5 if rng.random() < 0.1:
                self.server.begin_leaving()
            case _:
                self.server.consumed(stream_id, self.unread.pop(stream_id, 0))
        self.look()

    def look(self) -> None:
        """Check that what the server sends is frames, on streams that the peer has opened and that it has not ended."""
        data, at = b"".join(self.server.output()), 0
        while at < len(data):
            high, low, kind, flags, stream_id = frames.HEAD.unpack_from(data, at)
            size = high << 16 | low
            at += frames.HEAD_BYTES + size
            if kind in (frames.HEADERS, frames.DATA):
                assert stream_id in self.opened
                assert stream_id not in self.ended, "more behind the end"
                self.started.add(stream_id)
                self.count(stream_id, size if kind == frames.DATA else 0)
                if flags & frames.END_STREAM:
                    self.ended.add(stream_id)
            elif kind == frames.RST_STREAM:
                self.ended.add(stream_id)
            elif kind == frames.SETTINGS and flags & frames.ACK:
                del self.first_windows[0]
        assert at == len(data)

    def count(self, stream_id: int, size: int) -> None:
        """Check that DATA of that size is not more than the peer has allowed; empty ones always may come."""
        assert size <= SMALLEST_MAX_FRAME
        self.sent.update({stream_id: size, 0: size})
        if size:
            assert self.sent[0] <= self.allowed[0], "more than the peer allows on all streams"
            assert self.sent[stream_id] <= self.allowed[stream_id] + max(self.first_windows), "more than the peer allows on the stream"
