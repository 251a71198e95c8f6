"""What a body takes that is refused: from its first byte to the error, no more than one and a half times the limit."""

import tracemalloc
import zlib

import pytest

from penstock.domain.errors import InvalidInput, PenstockError, TooLarge
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, TensorSpec
from penstock.http import json_weight
from penstock.http.call import PredictionCall
from penstock.http.framing import ChunkedBody, SizedBody
from penstock.http.json_text import read_sparingly
from penstock.http.json_weight import is_long, tree_bytes

LIMIT = 3 << 20
N = LIMIT - 200
"""Bytes of a body, less what stands around its values."""
BYTES_OF_ANY = 1 << 20
"""What is counted, or read, at a time."""
SCHEMA = ModelSchema((TensorSpec("X", DATATYPES["INT64"], (-1, 4)),), (TensorSpec("Y", DATATYPES["INT64"], (-1, 4)),), batched=True)


@pytest.fixture(autouse=True)
def _least(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small limit count like the usual one, beside which these are little."""
    monkeypatch.setattr(json_weight, "_LEAST_ROOM", 0)
    monkeypatch.setattr(json_weight, "_LEAST_LONG", 0)


V2 = "/v2/models/m/infer"
V1 = "/v1/models/m:predict"


def tensor(data: bytes, shape: str = f"[{N // 8},4]", datatype: str = "INT64") -> bytes:
    """Return a body of one tensor."""
    return b'{"inputs":[{"name":"X","datatype":"%b","shape":%b,"data":%b}]}' % (datatype.encode(), shape.encode(), data)


ZEROS = b"[" + b"0," * (N // 2 - 1) + b"0]"
ROWS = b"[" + b"[0,0,0,0]," * (N // 10)
KINDS = {
    "values-of-another-shape": tensor(ZEROS, "[1,4]"),
    "values-of-another-datatype": tensor(ZEROS, datatype="FP64"),
    "values-not-for-the-model": tensor(ZEROS, f"[{N // 2}]"),
    "last-value-bad": tensor(ZEROS[:-2] + b"x]", f"[{N // 8},4]"),
    "last-value-of-another-type": tensor(b"[" + b"0," * (N // 8 * 4 - 1) + b"0.5]", f"[{N // 8},4]"),
    "last-row-open": tensor(ROWS, f"[{N // 10},4]"),
    "floats": tensor(b"[" + b"0.5," * (N // 4 - 1) + b"x]"),
    "empty-lists": tensor(b"[" + b"[]," * (N // 3 - 1) + b"[]]"),
    "empty-objects": tensor(b"[" + b"{}," * (N // 3 - 1) + b"{}]"),
    "objects": tensor(b"[" + b'{"":0},' * (N // 7 - 1) + b"{}]"),
    "texts": tensor(b"[" + b'"a",' * (N // 4 - 1) + b'"a"]', datatype="BYTES"),
    "list-that-is-no-tensor": b'{"id":' + ZEROS + b"}",
    "keys": b"{" + b",".join(b'"%x":0' % number for number in range(N // 10)) + b"}",
    "long-key": b'{"' + b"a" * N + b'":0}',
    "long-text": tensor(b'"' + b"a" * N + b'"'),
    "wide-text": tensor(b'"' + b"a" * (N // 4) + '😀"'.encode()),
    "escapes": tensor(b'"' + b"\\n" * (N // 2) + b'"'),
    "nested-lists": b'{"a":' + b"[" * N,
    "nested-objects": b'{"a":' * (N // 5),
    "spaces": b" " * N,
    "noise": b"\xff" * N,
}


def refused(data: bytes, url: str = V2, framing: type[SizedBody] | type[ChunkedBody] = SizedBody, coding: str = "") -> int:
    """Return the most bytes that were taken at a time, by the body as it came and by whatever became of it."""
    call = PredictionCall("m", "", url == V1, None, {}, {}, None, coding, "")
    tracemalloc.start()
    try:
        body = SizedBody(len(data)) if framing is SizedBody else ChunkedBody(LIMIT)
        for start in range(0, len(data), 1 << 16):
            piece = data[start : start + (1 << 16)]
            body.feed(piece if framing is SizedBody else b"%x\r\n%b\r\n" % (len(piece), piece), 0)
        with pytest.raises(PenstockError) as error:
            call.decode(body.whole(), InferenceRequest("http", "m", "", [], arrived_ns=0), SCHEMA, LIMIT)
        assert type(error.value) in {InvalidInput, TooLarge}
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_refusal_takes_little_more_than_the_limit(kind: str) -> None:
    """Whatever the body is full of."""
    assert refused(KINDS[kind]) < 1.5 * LIMIT + BYTES_OF_ANY


@pytest.mark.parametrize("item", [b'{"":{}},', b"[" * 60 + b"]" * 60 + b",", b'{"":0},', b"0,", b'"ab",'], ids=range(5))
def test_body_that_is_too_short_to_be_weighed_takes_no_more(item: bytes) -> None:
    """Up to a 32nd of the limit, whatever it holds."""
    data = b'{"id":[' + item * (LIMIT // 32 // len(item) - 10) + b"0]}"

    assert not is_long(len(data), LIMIT)
    assert refused(data) < 1.5 * LIMIT


@pytest.mark.parametrize("framing", [SizedBody, ChunkedBody])
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_refusal_of_a_body_in_parts_takes_no_more(framing: type[SizedBody] | type[ChunkedBody], coding: str) -> None:
    """Compressed, or in chunks, or both."""
    data = KINDS["last-value-bad"]

    assert refused(zlib.compress(data, 1) if coding else data, framing=framing, coding=coding) < 1.5 * LIMIT + BYTES_OF_ANY


@pytest.mark.parametrize(
    "rows",
    [b"0," * (N // 2 - 1), b"[0,0,0,0]," * (N // 10 - 1), b"[0]," * (N // 4 - 1), b'{"X":[0]},' * (N // 10 - 1)],
    ids=["numbers", "rows", "rows-of-one", "objects"],
)
def test_refusal_of_v1_takes_at_most_twice_the_limit(rows: bytes) -> None:
    """The shape is in the brackets and commas, which are copied: of values with one digit those are half of the letters, and more."""
    assert refused(b'{"instances":[' + rows + b"[0,0]]}", V1) < 2 * LIMIT + BYTES_OF_ANY


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"0," * 200_000 + b"0]",
        b"[" + b"12345678901234567890," * 20_000 + b"0]",
        b"[" + b"1e9," * 100_000 + b"0]",
        b"[" + b"[]," * 100_000 + b"0]",
        b"[" + b"[0.5]," * 100_000 + b"0]",
        b"[" + b'{"":{}},' * 50_000 + b"0]",
        b"[" + b'{"a":300,"b":300,"c":300},' * 20_000 + b"0]",
        b"[" + b",".join([b"[" * 60 + b"]" * 60] * 4000) + b"]",
        b"[" + b'"ab",' * 100_000 + b"0]",
        b"[" + '"é",'.encode() * 100_000 + b"0]",
        b"{" + b",".join(b'"%x":300' % number for number in range(50_000)) + b"}",
        b"{" + b",".join(b'"%0100d":300' % number for number in range(5000)) + b"}",
        b'"' + b"a" * 500_000 + b'"',
        b'"' + b"a" * 500_000 + '中"'.encode(),
        b'"' + b"a" * 500_000 + '😀"'.encode(),
        b'"' + b"a" * 500_000 + rb'\n"',
        b'"' + b"a" * 500_000 + rb'\u4e2d"',
        b'"' + b"a" * 500_000 + rb'\ud83d\ude00"',
    ],
    ids=range(18),
)
def test_weight_is_a_bound(text: bytes) -> None:
    """Of what reading a long text takes."""
    tracemalloc.start()
    try:
        read_sparingly(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak <= tree_bytes(text)
