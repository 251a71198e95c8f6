"""Bytes that are a little different: what both engines start from."""

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

_DIGITS: Final = re.compile(rb"[0-9]+")
_LONGEST: Final = 1 << 16
_EDGES: Final = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
_NUMBERS: Final = (*(str(edge).encode() for edge in (*_EDGES, -1, -(1 << 63), 1 << 64)), b"0", b"1e999", b"-0", b"1.5", b"NaN")


def mutated(data: bytes, rng: Random, words: Sequence[bytes] = ()) -> bytes:
    """Return the bytes after one to eight small changes; `words` are what means something to their reader."""
    changed = bytearray(data)
    for _ in range(1 << rng.randrange(4)):
        rng.choice(_CHANGES)(changed, rng, words)
    return bytes(changed[:_LONGEST])


def _flip(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _insert(data: bytearray, rng: Random, words: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(words) if words and rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 9))


def _replace(data: bytearray, rng: Random, words: Sequence[bytes]) -> None:
    start, stop = _span(data, rng)
    data[start:stop] = rng.choice(words) if words else rng.choice(_NUMBERS)


def _remove(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start, stop = _span(data, rng)
    del data[start:stop]


def _repeat(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start, stop = _span(data, rng)
    if len(data) < _LONGEST:
        data[stop:stop] = data[start:stop] * rng.choice((1, 1, 1, 2, 30))


def _move(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start, stop = _span(data, rng)
    piece = data[start:stop]
    del data[start:stop]
    at = rng.randrange(len(data) + 1)
    data[at:at] = piece


def _cut(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if rng.random() < 0.3:
        del data[rng.randrange(len(data) + 1) :]


def _edge(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    size = rng.choice((1, 2, 4, 8))
    at = rng.randrange(max(1, len(data) - size + 1))
    data[at : at + size] = (rng.choice(_EDGES) & ((1 << 8 * size) - 1)).to_bytes(size, rng.choice(("big", "little")))


def _number(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    """Put another number in the place of one that stands there in digits."""
    found = _DIGITS.search(data, rng.randrange(len(data) + 1))
    if found is not None:
        data[found.start() : found.end()] = rng.choice(_NUMBERS)


def _span(data: bytearray, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 1, 2, 4, 8, 32)))


_CHANGES: Final[tuple[Callable[[bytearray, Random, Sequence[bytes]], None], ...]] = (
    _flip, _set, _insert, _replace, _remove, _repeat, _move, _cut, _edge, _number,
)  # fmt: skip
