"""A request's body on its way in: of a known length, or in chunks."""

import re
from typing import Final, Protocol

from penstock.domain.names import shown
from penstock.http.head import Head, malformed
from penstock.http.inflate import too_large
from penstock.wire.raw import ALIGNMENT, Buffer

_LONGEST_LINE: Final = 256
"""Of a chunk's size and extensions, and of a trailer."""
_MOST_TRAILERS: Final = 32
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_MOST_HEX: Final = 12
_FIELD: Final = re.compile(rb"[\w!#$%&'*+.^`|~-]+:[^\x00-\x08\x0a-\x1f\x7f]*", re.ASCII)


class Body(Protocol):
    """A body on its way in."""

    received: int
    """Bytes of it that are here."""
    complete: bool

    def feed(self, data: bytes, start: int) -> int:
        """Take what belongs to the body and return where it ends in the data; raises `Refusal` or `TooLarge`."""

    def whole(self) -> Buffer:
        """Return the complete body."""


class SizedBody:
    """A body of known length, received into one buffer."""

    __slots__ = ("_buffer", "_lead", "_length", "_view", "complete", "received")

    def __init__(self, length: int, json_bytes: int = 0, *, keep: bool = True) -> None:
        """Make room, if the contents are wanted; the raw tensors behind `json_bytes` bytes start aligned, so that nobody copies them."""
        self._lead = -json_bytes % ALIGNMENT
        self._buffer = bytearray(self._lead + length) if keep else bytearray()
        self._view = memoryview(self._buffer)[self._lead :] if keep else None
        self._length = length
        self.received = 0
        self.complete = not length

    def feed(self, data: bytes, start: int) -> int:
        """Take what belongs to the body and return where it ends in the data."""
        stop = min(len(data), start + self._length - self.received)
        until = self.received + stop - start
        if self._view is not None:
            self._view[self.received : until] = memoryview(data)[start:stop]
        self.received = until
        self.complete = until == self._length
        return stop

    def whole(self) -> Buffer:
        """Return the buffer, or a view of it where something stands before the body."""
        return self._view if self._lead and self._view is not None else self._buffer


class ChunkedBody:
    """A body in chunks (RFC 9112, section 7.1), read strictly; extensions and trailers are skipped."""

    def __init__(self, limit: int, *, keep: bool = True) -> None:
        """Start with nothing; `keep` tells whether the contents are wanted."""
        self.received = 0
        self.complete = False
        self._limit = limit
        self._keep = keep
        self._whole = bytearray()
        self._line = b""
        self._left = 0
        """Bytes of the present chunk that are to come."""
        self._read = self._size
        self._trailers = 0

    def feed(self, data: bytes, start: int) -> int:
        """Take what belongs to the body and return where it ends in the data; raises `Refusal` or `TooLarge`."""
        while start < len(data) and not self.complete:
            start = self._content(data, start) if self._left else self._framing(data, start)
        return start

    def whole(self) -> Buffer:
        """Return the chunks' contents."""
        return self._whole

    def _content(self, data: bytes, start: int) -> int:
        stop = min(len(data), start + self._left)
        if self._keep:
            self._whole += memoryview(data)[start:stop]
        self.received += stop - start
        self._left -= stop - start
        if not self._left:
            self._read = self._end_of_chunk
        return stop

    def _framing(self, data: bytes, start: int) -> int:
        """Read up to the end of a line, and let it say what comes next."""
        stop = data.find(b"\n", start) + 1
        line = self._line + (data[start:stop] if stop else data[start:])
        if len(line) > _LONGEST_LINE:
            raise malformed("a line of its chunked body is too long")
        if not stop:
            self._line = line
            return len(data)
        if not line.endswith(b"\r\n"):
            raise malformed("a line of its chunked body does not end with CRLF")
        self._line = b""
        self._read(line[:-2])
        return stop

    def _size(self, line: bytes) -> None:
        digits = line.partition(b";")[0].rstrip(b" \t")
        if not digits or len(digits) > _MOST_HEX or not _HEX.issuperset(digits):
            raise malformed(f"the chunk size {shown(digits.decode('latin-1'))} is not hexadecimal")
        self._left = int(digits, 16)
        if self.received + self._left > self._limit:
            raise too_large(self._limit)
        if not self._left:
            self._read = self._trailer

    def _end_of_chunk(self, line: bytes) -> None:
        if line:
            raise malformed("a chunk is longer than its size says")
        self._read = self._size

    def _trailer(self, line: bytes) -> None:
        self._trailers += 1
        if self._trailers > _MOST_TRAILERS:
            raise malformed("its chunked body has too many trailers")
        if line and _FIELD.fullmatch(line) is None:
            raise malformed("its chunked body does not end with trailers and a blank line")
        self.complete = not line


def body_passed_on(head: Head, limit: int) -> Body | None:
    """Return what frames a body that others read; None if there is none."""
    if head.chunked:
        return ChunkedBody(limit, keep=False)
    return SizedBody(head.content_length, keep=False) if head.content_length else None
