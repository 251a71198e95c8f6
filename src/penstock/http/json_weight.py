"""What a long JSON text would take once it is read, told from its bytes: a few letters may ask for a hundred times their own."""

from typing import Final

import numpy as np

from penstock.domain.errors import TooLarge
from penstock.wire.raw import Buffer

_LEAST_LONG: Final = 256 * 1024
_LONG_PART: Final = 32
_LEAST_ROOM: Final = 12 * 1024**2
_OF_ANY: Final = 1024
_WINDOW: Final = 64 * 1024
"""Bytes that are counted at a time, few enough to stay in a core's cache."""
_WEIGHTS: Final = {ord("["): 124, ord("{"): 220, ord(","): 45, ord(":"): 44, ord('"'): 16}
"""Bytes that each of these letters may ask for, measured with tracemalloc and rounded up: a list with a number, an object with one, a
further number in either, a further key, and half a string without its letters."""
_FOUR_BYTES: Final = 0xF0
"""What the letters begin with for which Python takes four bytes each, all over the string."""
_ESCAPED: Final = 3
"""What the reader takes for each letter of a string with escapes, while it grows."""


def is_long(size: int, limit: int) -> bool:
    """Tell whether a text is to be weighed: a shorter one takes less than one and a half times the limit, or 12 MiB, whatever it holds."""
    return size >= _LEAST_LONG and size >= limit // _LONG_PART


def room_beside(size: int, limit: int) -> int:
    """Return how many bytes may be taken beside a body of that size: one and a half times its limit in all, or 12 MiB if that is more."""
    return max(limit * 3 // 2 - size, _LEAST_ROOM)


def check_weight(text: bytes | bytearray, room: int) -> None:
    """Raise `TooLarge` for a text that might take more than the room once it is read."""
    if (weight := tree_bytes(text)) > room:
        raise TooLarge(
            f"the JSON may take {weight} bytes once it is read, more than the {room} that are left beside it: send numbers as lists of "
            "numbers or in binary form, send less at once, or raise http.max_body_bytes"
        )


def tree_bytes(text: bytes | bytearray) -> int:
    """Return a bound of what Python's objects for the text take; quick, and made of nothing but counts."""
    whole, weight = np.frombuffer(text, np.uint8), _OF_ANY + len(text) * _letter_bytes(text)
    for start in range(0, len(text), _WINDOW):
        window = whole[start : start + _WINDOW]
        weight += sum(each * int(np.count_nonzero(window == letter)) for letter, each in _WEIGHTS.items())
    return weight


def _letter_bytes(text: bytes | bytearray) -> int:
    """Return how many bytes a letter may take: a rare one makes all of its string wide, and what has to be rewritten is there twice."""
    escaped = b"\\" in text
    if text.isascii() and not escaped:
        return 1
    rewriting = _ESCAPED if escaped else 1
    if np.frombuffer(text, np.uint8).max() >= _FOUR_BYTES or b"\\ud" in text or b"\\uD" in text:
        return 4 + rewriting
    return (1 if text.isascii() and b"\\u" not in text else 2) + rewriting


def commas(text: Buffer) -> int:
    """Return how many commas there are."""
    whole = np.frombuffer(text, np.uint8)
    return sum(int(np.count_nonzero(whole[start : start + _WINDOW] == ord(","))) for start in range(0, len(whole), _WINDOW))
