"""Pieces of bytes one after the other in a file, each with its length and its checksum, so that a torn end is told from a whole one."""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

_HEAD: Final = struct.Struct("<II")


class DamagedFrame(ValueError):
    """A frame in the middle of a file is not what was written."""


def framed(data: bytes | memoryview) -> bytes:
    """Return a frame."""
    return b"".join((_HEAD.pack(len(data), zlib.crc32(data)), data))


def frames(file: BinaryIO) -> Iterator[bytes]:
    """Yield what is in the whole frames that a file begins with; raises `DamagedFrame` where more follows one that is bad."""
    file.seek(0)
    size = os.fstat(file.fileno()).st_size
    end = 0
    while end + _HEAD.size <= size:
        length, checksum = _HEAD.unpack(file.read(_HEAD.size))
        end += _HEAD.size + length
        if not length or end > size:  # a disk that lost power may have left zeros
            return
        data = file.read(length)
        if zlib.crc32(data) != checksum:
            if end == size:
                return
            raise DamagedFrame(f"a frame that ends at byte {end} has another checksum than when it was written")
        yield data


def whole_frames(file: BinaryIO) -> int | None:
    """Return the bytes of the whole frames that a file begins with, None if one of them is damaged."""
    try:
        return sum(_HEAD.size + len(data) for data in frames(file))
    except DamagedFrame:
        return None
