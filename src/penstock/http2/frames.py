"""Frames as bytes (RFC 9113, sections 4.1 and 6)."""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from penstock.http2.errors import Code

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
"""The types of frames."""
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


def head(size: int, kind: int, flags: int, stream_id: int) -> bytes:
    """Return what stands before a payload of so many bytes."""
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream_id)


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
