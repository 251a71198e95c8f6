"""HTTP/2 frame by frame behind the preface: each has the error that RFC 9113 names, or none.

A case is a list of frames: a byte for the type, one for the flags, one for the stream, one for the length, the payload. A length of
255 stands for a frame that is longer than allowed.
"""

from collections.abc import Iterator
from random import Random
from typing import Any, Final, NamedTuple

from dialogue import FIELDS, LIMITS
from hpack import Encoder
from rfc9113 import CONTINUATION, HEADERS, MAX_FRAME_BYTES, MAY_END, Sent, named

from penstock.http2 import frames
from penstock.http2.connection import ServerConnection
from penstock.http2.errors import Code
from penstock.http2.events import Opened, Over

FORMED: Final = 0.7
_BLOCK: Final = Encoder().encode([*FIELDS, ("x", "y" * 5)])
WORDS: Final = (
    _BLOCK,
    b"\x01\x05\x01" + bytes([len(_BLOCK)]) + _BLOCK,
    b"\x00\x01\x01\x03abc",
    b"\x08\x00\x00\x04\x7f\xff\xff\xff",
    b"\x04\x00\x00\x00",
    b"\x82\x86",
)
_TOO_LONG: Final = 255
_END_HEADERS: Final = 0x4


class _Given(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes


class _Peer:
    """What the peer knows of the connection, from what it has sent and heard."""

    def __init__(self) -> None:
        self.server: Final[ServerConnection[Any]] = ServerConnection(lambda request: request, LIMITS)
        self.last_id = 0
        self.block_of = 0
        self.reset: set[int] = set()
        """Streams that the server has reset."""
        self.server.receive(frames.PREFACE + frames.settings([]))
        self._output()

    def send(self, given: _Given) -> None:
        """Send a frame, and judge what comes of it."""
        sent = Sent(*given, self.last_id, self.block_of, given.stream_id in self.reset)
        codes = self._heard(self.server.receive(frames.frame(*given)))
        must, may = named(sent), MAY_END.get(sent.kind, set()) | {Code.ENHANCE_YOUR_CALM}
        assert codes <= must | may, (given, must, codes)
        assert codes or not must, (given, must)
        self._remember(given)

    def _heard(self, events: list[Any]) -> set[Code]:
        codes = {Code(event.code) for event in events if isinstance(event, Over)}
        self.last_id = max([self.last_id, *(event.stream_id for event in events if isinstance(event, Opened))])
        return codes | self._output()

    def _output(self) -> set[Code]:
        """Return the errors that the server tells the peer of."""
        data, at, codes = b"".join(self.server.output()), 0, set[Code]()
        while at < len(data):
            high, low, kind, _, stream_id = frames.HEAD.unpack_from(data, at)
            start, at = at + frames.HEAD_BYTES, at + frames.HEAD_BYTES + (high << 16 | low)
            if kind == frames.RST_STREAM:
                codes.add(Code(int.from_bytes(data[start:at], "big")))
                self.reset.add(stream_id)
            elif kind == frames.GOAWAY:
                codes.add(Code(int.from_bytes(data[start + 4 : start + 8], "big")))
        assert at == len(data)
        return codes

    def _remember(self, given: _Given) -> None:
        if given.kind in (HEADERS, CONTINUATION):
            self.block_of = 0 if given.flags & _END_HEADERS else given.stream_id
            if given.kind == HEADERS and given.stream_id % 2 and not self.block_of:
                self.last_id = max(self.last_id, given.stream_id)  # also one that was refused is no longer idle
        if self.block_of == 0 and given.kind == CONTINUATION and given.stream_id % 2:
            self.last_id = max(self.last_id, given.stream_id)


def case(data: bytes) -> bool:
    """Send frame after frame until the connection is over."""
    peer = _Peer()
    for given in _frames(data):
        peer.send(given)
        if peer.server.is_over:
            return False
        assert peer.server.open_streams <= LIMITS.max_streams
    return True


def _frames(data: bytes) -> Iterator[_Given]:
    at = 0
    while at + 4 <= len(data):
        kind, flags, stream_id, size = data[at : at + 4]
        payload = data[at + 4 : at + 4 + size]
        yield _Given(kind % 12, flags, stream_id, payload if size != _TOO_LONG else payload.ljust(MAX_FRAME_BYTES + 1, b"\0"))
        at += 4 + len(payload)


def mutate(data: bytes, rng: Random) -> bytes:
    """Take frames out, put others in."""
    given = list(_frames(data))
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(given) + 1)
        if given and rng.random() < 0.3:
            del given[rng.randrange(len(given))]
        else:
            given.insert(at, _frame(rng))
    return b"".join(map(_written, given))


def _written(given: _Given) -> bytes:
    """Return the frame as `_frames` reads it."""
    kind, flags, stream_id, payload = given
    size = _TOO_LONG if len(payload) > MAX_FRAME_BYTES else min(len(payload), _TOO_LONG - 1)
    return bytes([kind, flags, stream_id, size]) + payload[:size]


def _frame(rng: Random) -> _Given:
    stream_id = rng.choice((0, 1, 1, 1, 3, 3, 5, 2, 7, 255))
    match rng.randrange(8):
        case 0 | 1:
            block = _BLOCK if rng.random() < 0.8 else Encoder().encode([*FIELDS, ("content-length", str(rng.randrange(9)))])
            return _Given(
                HEADERS, rng.choice((4, 5, 5, 0, 1, 0x0C, 0x24)), stream_id, block if rng.random() < 0.9 else block[: rng.randrange(9)]
            )
        case 2:
            return _Given(CONTINUATION, rng.choice((0, 4)), stream_id, rng.choice((b"", _BLOCK, b"\x82")))
        case 3:
            return _Given(frames.DATA, rng.choice((0, 1, 8, 9)), stream_id, rng.randbytes(rng.randrange(30)))
        case 4:
            return _Given(
                frames.WINDOW_UPDATE, 0, stream_id, rng.choice((b"\0\0\0\1", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0"))
            )
        case 5:
            value = rng.choice((0, 1, 2, 16_383, 16_384, (1 << 24) - 1, 1 << 24, (1 << 31) - 1, 1 << 31))
            return _Given(
                frames.SETTINGS,
                rng.choice((0, 0, 1)),
                rng.choice((0, 0, 0, 1)),
                rng.randrange(1, 8).to_bytes(2, "big") + value.to_bytes(4, "big"),
            )
        case 6:
            return _Given(rng.randrange(12), rng.choice((0, 1)), stream_id, rng.randbytes(rng.choice((0, 4, 5, 8))))
    size = MAX_FRAME_BYTES + 1 if rng.random() < 0.1 else rng.randrange(20)
    return _Given(rng.randrange(12), rng.randrange(256), stream_id, rng.randbytes(size))
