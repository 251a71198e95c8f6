"""What is kept of field blocks never outlives the table under which it was read."""

import contextlib
import random
from typing import Final

import pytest
from hpack import Decoder, Encoder
from peer import FIELDS

from penstock.http2.errors import ConnectionFault, Malformed
from penstock.http2.field_blocks import FieldBlocks
from penstock.http2.requests import Request

PATHS: Final = [f"/service/Method{number}" for number in range(6)]


class Counted:
    """Reads requests, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self, request: Request) -> Request:
        self.reads += 1
        return request


@pytest.fixture
def counted() -> Counted:
    """Return a reader that counts."""
    return Counted()


@pytest.fixture
def blocks(counted: Counted) -> FieldBlocks[Request]:
    """Return the blocks of a connection."""
    return FieldBlocks(counted, 16_384)


def asking(path: str, **more: str) -> list[tuple[str, str]]:
    """Return the fields of a request to a path."""
    return [(name, path if name == ":path" else value) for name, value in FIELDS] + list(more.items())


def test_block_that_changes_nothing_is_read_once(blocks: FieldBlocks[Request], counted: Counted) -> None:
    """The first time its fields enter the table; from the second on it only refers to them."""
    encoder = Encoder()
    sent = [encoder.encode(asking("/a")) for _ in range(10)]
    heads = [blocks.head(block) for block in sent]

    assert len({id(head) for head in heads[1:]}) == 1
    assert {head and head[0].path for head in heads} == {"/a"}
    assert counted.reads == 2


def test_literal_without_indexing_is_kept_too(blocks: FieldBlocks[Request], counted: Counted) -> None:
    """Whoever does not use the table at all, as long as it repeats itself."""
    block = b"\x83\x86\x04\x02/a\x0f\x10\x01x" + b"\x00\x01n\x01v"
    heads = [blocks.head(block) for _ in range(5)]

    assert counted.reads == 1
    assert heads[4] is not None
    assert heads[4][0].fields[-1] == (b"n", b"v")


def test_same_bytes_after_a_change_mean_something_else(blocks: FieldBlocks[Request], counted: Counted) -> None:
    """The one thing that must not go wrong: index 62 is whatever entered the table last."""
    kept = b"\x83\x86\x84\xbe"
    enter = b"\x83\x86\x84\x40\x01n\x01"
    seen = []
    for value in b"abc":
        blocks.head(enter + bytes([value]))
        seen += [blocks.head(kept) for _ in range(2)]

    values = [head and head[0].fields for head in seen]
    assert values == [[(b"n", b"a")]] * 2 + [[(b"n", b"b")]] * 2 + [[(b"n", b"c")]] * 2
    assert counted.reads == 6


CHANGES: Final = {
    "an entry": b"\x83\x86\x84\x40\x01m\x01v",
    "an entry too large for the table": b"\x83\x86\x84\x40\x01m\x7f\x81\x20" + b"v" * 4_224,
    "an entry of a request that is malformed": b"\x40\x01m\x01v",
    "the table emptied and back": b"\x20\x3f\xe1\x1f\x83\x86\x84",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_of_the_table_empties_what_is_kept(change: bytes) -> None:
    """By whatever a block can do to the table, even one that is refused."""
    blocks, truth = FieldBlocks(lambda request: request, 16_384), Decoder()
    enter, kept = b"\x83\x86\x84\x40\x01n\x01v", b"\x83\x86\x84\xbe"
    for block in (enter, kept, kept):
        truth.decode(block, raw=True)
        blocks.head(block)

    with contextlib.suppress(Malformed):
        blocks.head(change)
    truth.decode(change, raw=True)

    try:
        expected = [tuple(each) for each in truth.decode(kept, raw=True)][3:]
    except Exception:
        with pytest.raises(ConnectionFault):
            blocks.head(kept)
    else:
        head = blocks.head(kept)
        assert head is not None
        assert head[0].fields == expected


def test_what_is_kept_is_bounded(blocks: FieldBlocks[Request]) -> None:
    """In number and in length."""
    for number in range(200):
        blocks.head(b"\x83\x86\x84\x00\x01n\x04" + b"%04d" % number)
    blocks.head(b"\x83\x86\x84\x00\x01n\x7f\x81\x10" + b"v" * 2_176)

    assert len(blocks._kept) <= 32
    assert max(map(len, blocks._kept)) <= 1024


@pytest.mark.parametrize("seed", range(20))
def test_random_traffic_reads_as_without_anything_kept(seed: int) -> None:
    """Thousands of requests by encoders that index, do not index, and resize: each head is that of a decoder beside it."""
    rng = random.Random(seed)
    blocks, truth, encoder = FieldBlocks(lambda request: request, 16_384), Decoder(), Encoder()
    for _ in range(300):
        fields: list[tuple[str, ...]] = [*asking(rng.choice(PATHS))]
        for name in rng.sample(["x-a", "x-b", "x-c"], rng.randrange(3)):
            value = rng.choice(["1", "2", "v" * 300, str(rng.randrange(1000))])
            fields.append((name, value, True) if rng.random() < 0.5 else (name, value))  # type: ignore[arg-type]
        if rng.random() < 0.05:
            encoder.header_table_size = rng.choice([0, 100, 500, 4096])
        block = encoder.encode(fields)
        expected = [tuple(field) for field in truth.decode(block, raw=True)]
        head = blocks.head(block)
        assert head is not None
        pseudo = [(b":method", head[0].method.encode()), (b":path", head[0].path.encode())]
        assert [field for field in expected if field[0] in (b":method", b":path")] == pseudo
        assert [field for field in expected if not field[0].startswith(b":")] == head[0].fields
