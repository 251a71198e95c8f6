"""Compressed bodies: all of them, no more than the limit, and in no more memory than that."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from penstock.domain.errors import InvalidInput, TooLarge
from penstock.http.inflate import inflated

LIMIT = 1 << 20
NOISE = random.Random(1).randbytes(LIMIT)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("body", [b"", b"a", bytes(LIMIT), NOISE, NOISE[:-1], NOISE[: 1 << 17] * 8], ids=len)
def test_body_comes_back_whole(pack: Callable[[bytes], bytes], body: bytes) -> None:
    """Up to the limit, whatever it is made of."""
    assert inflated(pack(body), LIMIT) == body


@pytest.mark.parametrize("size", [LIMIT + 1, 64 * LIMIT])
def test_refusal_takes_little_more_than_the_limit(size: int) -> None:
    """A body that inflates to far more is refused before it does."""
    packed = zlib.compress(bytes(size))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            inflated(packed, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1.5 * LIMIT


@pytest.mark.parametrize(
    "packed",
    [b"", b"noise", zlib.compress(NOISE)[:-1], zlib.compress(b"a") + b"b", gzip.compress(b"a") * 2, zlib.compress(bytes(LIMIT))[:-5]],
    ids=["empty", "noise", "cut", "more", "two", "no-end"],
)
def test_what_is_no_whole_stream_is_refused(packed: bytes) -> None:
    """Nothing is left out, and nothing is behind it."""
    with pytest.raises(InvalidInput):
        inflated(packed, LIMIT)
