"""Messages come out as they went in, however they were cut, and what waits of them takes little more than its bytes."""

import gzip
import sys
from itertools import cycle
from typing import Final

import hypothesis.strategies as st
import pytest
from hypothesis import given

from penstock.domain.errors import InvalidInput, TooLarge
from penstock.grpc.messages import PREFIX_BYTES, MessageReader, Packed, prefixed, unpacked


@given(
    st.lists(st.sampled_from([b"", b"a", bytes(range(20)), bytes(range(250)) * 5]), max_size=6), st.lists(st.integers(1, 1_500), min_size=1)
)
def test_messages_come_back_from_any_pieces(messages: list[bytes], sizes: list[int]) -> None:
    """And at each cut it is known how many have come, and whether another has begun."""
    body = whole = b"".join(map(prefixed, messages))
    reader, seen = MessageReader(1 << 20, "identity"), []
    for size in cycle(sizes):
        seen += reader.feed(body[:size])
        body = body[size:]
        here = len(whole) - len(body) - sum(PREFIX_BYTES + len(message) for message in seen)
        assert reader.is_between is (here == 0)
        assert reader.here_bytes == (here if here < PREFIX_BYTES else here - PREFIX_BYTES)
        if not body:
            break

    assert seen == messages
    assert reader.is_between


@pytest.mark.parametrize("size", [1, 5, 1_023, 1_024, 16_384])
def test_pieces_take_hardly_more_memory_than_their_bytes(size: int) -> None:
    """A client decides how small they are; an object for each would take ten times as much."""
    reader = MessageReader(1 << 20, "identity")
    reader.feed(prefixed(bytes(1 << 20))[:5])
    for _ in range((1 << 17) // size):
        reader.feed(bytes(size))

    held = sum(map(sys.getsizeof, reader._parts)) + sys.getsizeof(reader._parts)
    assert held < 1.3 * (1 << 17)
    assert reader.here_bytes == (1 << 17) // size * size


def test_compressed_messages_stay_packed_until_they_are_wanted() -> None:
    """The windows bound what came, not what it unpacks to."""
    bomb = gzip.compress(bytes(1 << 20))
    reader = MessageReader(1 << 20, "gzip")
    messages = reader.feed((b"\x01" + len(bomb).to_bytes(4, "big") + bomb) * 3 + prefixed(b"plain"))

    assert [len(message) for message in messages] == [len(bomb)] * 3 + [5]
    assert [unpacked(message) for message in messages] == [bytes(1 << 20)] * 3 + [b"plain"]


UNUSABLE: Final = {
    "too-much": gzip.compress(bytes(1_001)),
    "half": gzip.compress(b"x")[:-1],
    "and-more": gzip.compress(b"x") + b"y",
    "no-gzip": b"no gzip",
}


@pytest.mark.parametrize("data", UNUSABLE.values(), ids=UNUSABLE)
def test_message_that_unpacks_to_too_much_or_to_nothing_is_refused(data: bytes) -> None:
    """Its sender is told, once it is looked at."""
    with pytest.raises((TooLarge, InvalidInput)):
        Packed(data, "gzip", 1_000).unpacked()
