"""Frames as bytes (RFC 9113, sections 4.1 and 6)."""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from penstock.http2.errors import Code

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9
"""The types of frames; each on a line of its own, or compiled code would look it up whenever it asks."""
END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
LARGEST_ID: Final = (1 << 31) - 1
LARGEST_WINDOW: Final = (1 << 31) - 1
PING_BYTES: Final = 8
PRIORITY_BYTES: Final = 5

HEAD: Final = struct.Struct(">BHBBL")
"""The length in two parts, type, flags, stream."""
WORD: Final = struct.Struct(">L")
_SETTING: Final = struct.Struct(">HL")
_GOAWAY: Final = struct.Struct(">LL")
_LONGEST_REASON: Final = 256


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return a whole frame."""
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream_id) + payload


def data_head(size: int, stream_id: int) -> bytes:
    """Return what stands before so many bytes of DATA that others follow."""
    return b"%b\x00\x00%b" % (_length(size), stream_id.to_bytes(4, "big"))


def answer(stream_id: int, block: bytes, body: bytes, trailers: bytes) -> bytes:
    """Return a whole answer as HEADERS, DATA and HEADERS, each of them no longer than a frame may be; written in one go, for speed."""
    number, opening, size, closing = stream_id.to_bytes(4, "big"), _length(len(block)), _length(len(body)), _length(len(trailers))
    # HEADERS with END_HEADERS; DATA; HEADERS with END_HEADERS and END_STREAM.
    return b"%b\x01\x04%b%b%b\x00\x00%b%b%b\x01\x05%b%b" % (
        opening, number, block, size, number, body, closing, number, trailers,
    )  # fmt: skip


def _length(size: int) -> bytes:
    return size.to_bytes(3, "big")


def header_frames(stream_id: int, block: bytes, flags: int, max_frame_bytes: int) -> Iterator[bytes]:
    """Yield a field block that is longer than a frame, as HEADERS and CONTINUATION."""
    yield frame(HEADERS, flags, stream_id, block[:max_frame_bytes])
    for start in range(max_frame_bytes, len(block), max_frame_bytes):
        stop = start + max_frame_bytes
        yield frame(CONTINUATION, END_HEADERS if stop >= len(block) else 0, stream_id, block[start:stop])


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    """Return SETTINGS with these values."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*value) for value in values))


def settings_in(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield the values of SETTINGS."""
    return _SETTING.iter_unpack(payload)


def reset(stream_id: int, code: Code) -> bytes:
    """Return RST_STREAM."""
    return frame(RST_STREAM, 0, stream_id, WORD.pack(code))


def window_update(stream_id: int, increment: int) -> bytes:
    """Return WINDOW_UPDATE."""
    return frame(WINDOW_UPDATE, 0, stream_id, WORD.pack(increment))


def goaway(last_id: int, code: Code, reason: str) -> bytes:
    """Return GOAWAY with a reason for people."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last_id, code) + reason.encode(errors="replace")[:_LONGEST_REASON])
