"""Fields as a block: literals that touch no dynamic table (RFC 7541, section 6.2.2).

A table of ours would save bytes and cost time on both sides; without one, a block is the same bytes whoever it goes to.
"""

from functools import lru_cache
from typing import Final

_LITERAL: Final = b"\x00"
_PREFIX_MAX: Final = 0x7F
_MORE: Final = 0x80
_REMEMBERED: Final = 256
TABLE_OF_NOTHING: Final = b"\x20"
"""The dynamic table's size becomes 0: what a block begins with after the peer has lowered its limit (section 4.2)."""
STATUS_OK: Final = b"\x88"
"""`:status: 200`, from the static table."""


def field(name: str, value: bytes) -> bytes:
    """Return one field, its value without Huffman coding."""
    size = len(value)
    return _named(name) + (_SHORT[size] if size < _PREFIX_MAX else _length(size)) + value


def _length(size: int) -> bytes:
    """Return an integer with a prefix of 7 bits (RFC 7541, section 5.1)."""
    if size < _PREFIX_MAX:
        return bytes([size])
    told, size = bytearray([_PREFIX_MAX]), size - _PREFIX_MAX
    while size >= _MORE:
        told.append(size % _MORE | _MORE)
        size //= _MORE
    return bytes([*told, size])


_SHORT: Final = tuple(map(_length, range(_PREFIX_MAX)))


@lru_cache(_REMEMBERED)
def _named(name: str) -> bytes:
    data = name.encode("ascii")
    return _LITERAL + _length(len(data)) + data
