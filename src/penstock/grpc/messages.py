"""Length-prefixed messages, as gRPC puts them into the bodies of HTTP/2 (gRPC over HTTP2, "Length-Prefixed-Message")."""

import struct
import zlib
from typing import Final

from penstock.domain.errors import InvalidInput, TooLarge

_PREFIX: Final = struct.Struct(">BL")
"""Whether the message is compressed, and its length."""
PREFIX_BYTES: Final = 5
"""The size of that, as a number that compiled code knows."""
COPIED_BYTES: Final = 64 * 1024
"""Up to it, a message is copied to stand behind its prefix; a larger one costs less in a frame of its own."""
_SMALL_BYTES: Final = 1024
WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}
"""How zlib is told of the encodings of messages; `identity` needs nothing."""


def prefix(message: bytes) -> bytes:
    """Return what stands before the message, uncompressed."""
    return _PREFIX.pack(0, len(message))


def prefixed(message: bytes) -> bytes:
    """Return the message behind its prefix, uncompressed."""
    return b"\x00%b%b" % (len(message).to_bytes(4, "big"), message)


def whole(data: bytes, max_bytes: int) -> bytes | None:
    """Return the message if the data are exactly one, uncompressed and not too large, as almost all are; else None."""
    size = len(data) - PREFIX_BYTES
    if 0 <= size <= max_bytes and not data[0] and data[1] << 24 | data[2] << 16 | data[3] << 8 | data[4] == size:
        return data[PREFIX_BYTES:]
    return None


class Packed:
    """A message as it came, compressed: it takes little until somebody wants it."""

    __slots__ = ("_data", "_encoding", "_max_bytes")

    def __init__(self, data: bytes, encoding: str, max_bytes: int) -> None:
        self._data = data
        self._encoding = encoding
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._data)

    def unpacked(self) -> bytes:
        """Return what was compressed, never more than may be: what is beyond that is not even unpacked.

        Raises `TooLarge`, and `InvalidInput` for what is not compressed as the call says.
        """
        stream = zlib.decompressobj(WINDOW_BITS[self._encoding])
        try:
            plain = stream.decompress(self._data, self._max_bytes + 1)
        except zlib.error as error:
            raise InvalidInput(f"a message cannot be unpacked: it is not valid {self._encoding}") from error
        if len(plain) > self._max_bytes:
            raise TooLarge(f"a message of more than {self._max_bytes} bytes once unpacked, which is what grpc.max_message_bytes allows")
        if not stream.eof or stream.unused_data:
            raise InvalidInput(f"a message cannot be unpacked: its {self._encoding} ends too early or too late")
        return plain


Message = bytes | Packed


def unpacked(message: Message) -> bytes:
    """Return the message as its sender wrote it; see `Packed.unpacked`."""
    return message if isinstance(message, bytes) else message.unpacked()


class MessageReader:
    """Takes the pieces of a body and gives its messages."""

    __slots__ = ("_begun", "_compressed", "_encoding", "_left", "_max_bytes", "_parts", "finished")

    def __init__(self, max_bytes: int, encoding: str) -> None:
        self._max_bytes = max_bytes
        self._encoding = encoding
        self._begun = b""
        """A prefix that is not whole yet."""
        self._left: int | None = None
        """Bytes that are still to come of a message; None between messages."""
        self._compressed = 0
        self._parts: list[bytes | bytearray] = []
        self.finished = 0
        """Messages that have become whole."""

    @property
    def is_between(self) -> bool:
        """Whether the body may end here."""
        return self._left is None and not self._begun

    @property
    def here_bytes(self) -> int:
        """What is here of a message that is not whole."""
        return len(self._begun) + sum(map(len, self._parts))

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are whole now; raises `TooLarge` as soon as a message says so, and `InvalidInput`."""
        if self.is_between and (message := whole(data, self._max_bytes)) is not None:
            return [message]
        messages: list[Message] = []
        if self._begun:
            data, self._begun = self._begun + data, b""
        at, end = 0, len(data)
        while at < end:
            if self._left is None:
                if end - at < PREFIX_BYTES:
                    self._begun = data[at:]
                    break
                self._left = self._begin(data, at)
                at += PREFIX_BYTES
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            self._keep(piece)
            if self._left:
                break
            messages.append(self._finish())
        return messages

    def _begin(self, data: bytes, at: int) -> int:
        self._compressed, size = _PREFIX.unpack_from(data, at)
        if size > self._max_bytes:
            raise TooLarge(f"a message of {size} bytes; at most {self._max_bytes} are taken, as grpc.max_message_bytes says")
        if self._compressed > 1:
            raise InvalidInput(f"the first byte of a message is {self._compressed}; it is 0, or 1 for a compressed message")
        if self._compressed and self._encoding not in WINDOW_BITS:
            raise InvalidInput("a message is compressed, and grpc-encoding does not say how")
        return int(size)

    def _keep(self, piece: bytes) -> None:
        """Keep a piece as it is, or a small one with those before it: as objects of their own they would take many times their bytes."""
        if len(piece) >= _SMALL_BYTES:
            self._parts.append(piece)
            return
        if not self._parts or not isinstance(self._parts[-1], bytearray):
            self._parts.append(bytearray())
        self._parts[-1] += piece

    def _finish(self) -> Message:
        message = bytes(self._parts[0]) if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._left = [], None
        self.finished += 1
        return Packed(message, self._encoding, self._max_bytes) if self._compressed else message
