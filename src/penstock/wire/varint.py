"""Whole numbers in Protocol Buffers' variable length ("Encoding", "Base 128 Varints")."""

from typing import Final

MORE: Final = 0x80
"""Set in every byte but the last."""


def varint(data: bytes, at: int, longest: int) -> tuple[int, int]:
    """Return the number that begins there, and where it ends; raises `IndexError` if that is not within `longest` bytes."""
    value = 0
    for position in range(longest):
        byte = data[at + position]
        value |= byte % MORE << 7 * position
        if byte < MORE:
            return value, at + position + 1
    raise IndexError(at)
