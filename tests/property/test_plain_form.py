"""Reading a plain document in one go gives just what reading it field by field gives, or nothing."""

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.domain.errors import InvalidInput
from penstock.domain.schema import ModelSchema
from penstock.http import codec, plain_form
from penstock.http.plain_form import framed_input, plain_inputs

SCHEMA = ModelSchema((), (), batched=False)
WIRES = ("INT8", "INT64", "UINT8", "UINT64", "FP32", "FP64", "BOOL", "BYTES", "FP16", "nonsense")
VALUES = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.integers(-3, 300), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(),
    st.text(max_size=3), st.lists(st.integers(0, 3), max_size=2),
)  # fmt: skip
NUMBERS = st.one_of(st.integers(0, 100), st.floats(-9, 9))
DIMENSIONS = st.one_of(st.integers(-1, 4), st.integers(0, 2), st.booleans(), st.floats(0, 2), st.none())
ENTRIES = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", "true", "", None]),
        "datatype": st.sampled_from(WIRES),
        "shape": st.one_of(st.lists(DIMENSIONS, max_size=3), st.just("12"), st.none()),
        "data": st.one_of(st.lists(NUMBERS, max_size=6), st.lists(VALUES, max_size=6), st.none()),
    },
    optional={"parameters": st.sampled_from([{}, {"binary_data_size": 4}])},
)
GOOD = st.lists(NUMBERS, min_size=1, max_size=6).map(
    lambda data: {"name": "x", "datatype": "FP64", "shape": [len(data)], "data": data},
)
DOCUMENTS = st.fixed_dictionaries(
    {"inputs": st.lists(st.one_of(GOOD, ENTRIES), max_size=3)}, optional={"id": st.sampled_from(["a", 5, None]), "outputs": st.just([])}
)


def closely(document: object) -> list[tuple[str, str, object]] | str:
    """Return what reading field by field makes of a document."""
    try:
        return told(codec._inputs(document, memoryview(b""), SCHEMA))  # type: ignore[arg-type]
    except InvalidInput as error:
        return error.message


def told(tensors: list) -> list[tuple[str, str, object]]:  # type: ignore[type-arg]
    """Return all there is to compare."""
    return [(tensor.name, tensor.datatype.wire, (tensor.array.shape, tensor.array.dtype, tensor.array.tolist())) for tensor in tensors]


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the test
@given(DOCUMENTS)
def test_plain_reading_agrees_with_close_reading(document: dict[str, object]) -> None:
    """Whatever is read in one go would be read, and read the same."""
    text = orjson.dumps(document)
    plain = plain_inputs(orjson.loads(text), text)

    if plain is not None:
        assert told(plain) == closely(document)


@pytest.mark.parametrize("ending", ["", ', "id": "a"'])
def test_usual_document_is_plain(ending: str) -> None:
    """Or nothing would be gained."""
    text = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2.5]}]%b}' % ending.encode()

    (tensor,) = plain_inputs(orjson.loads(text), text) or []

    assert tensor.array.dtype == np.float32
    assert tensor.array.tolist() == [[1.0, 2.5]]


@pytest.mark.parametrize(
    "text",
    [
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, true]}]}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [true, 2], "data": [1, 2]}]}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [[1, 2]]}]}',
        b'{"inputs": [{"name": "x", "datatype": "INT8", "shape": [1, 2], "data": [1, 128]}]}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 1e39]}]}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [3], "data": [1, 2]}]}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}], "outputs": []}',
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}], "id": 5}',
        b'{"inputs": []}',
        b'{"inputs": [5]}',
        b"[1]",
    ],
)
def test_anything_else_is_read_closely(text: bytes) -> None:
    """Also after the usual form of the same shape was seen."""
    usual = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}'
    assert plain_inputs(orjson.loads(usual), usual)

    assert plain_inputs(orjson.loads(text), text) is None


USUAL = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2.5]}]}'
TIGHT = b'{"inputs":[{"data":[1,2],"name":"x","datatype":"INT8","shape":[2]}]}'


def read_anew(text: bytes) -> list[tuple[str, str, object]] | str:
    """Return what reading a body as a whole makes of it."""
    try:
        document = orjson.loads(text)
        plain = plain_inputs(document, text)
        return told(plain) if plain is not None else closely(document)
    except (orjson.JSONDecodeError, AttributeError):
        return "no document"


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    """Begin without frames."""
    plain_form._frames.clear()


@pytest.mark.parametrize("usual", [USUAL, TIGHT])
@given(data=st.one_of(st.lists(NUMBERS, max_size=3), st.lists(VALUES, max_size=3)))
def test_remembered_frame_reads_what_the_whole_would(usual: bytes, data: list[object]) -> None:
    """Whatever stands where the numbers stood."""
    plain_form._frames.clear()
    assert plain_inputs(orjson.loads(usual), usual)
    start = usual.index(b'"data"')
    opening, closing = usual.index(b"[", start), usual.index(b"]", start)
    text = usual[:opening] + orjson.dumps(data) + usual[closing + 1 :]

    tensor = framed_input(text)

    if tensor is not None:
        assert told([tensor]) == read_anew(text)


@pytest.mark.parametrize("usual", [USUAL, TIGHT])
@given(place=st.integers(0, 90), byte=st.sampled_from(list(b'[]{}",:0123456789.eE-+ truefalsnNI\\xdi')), cut=st.booleans())
def test_body_that_differs_by_a_byte_reads_as_a_whole_would(usual: bytes, place: int, byte: int, cut: bool) -> None:
    """Nothing that stands around the numbers of another body is believed of this one."""
    plain_form._frames.clear()
    assert plain_inputs(orjson.loads(usual), usual)
    text = usual[:place] + bytes([byte]) + usual[place + cut :]

    tensor = framed_input(text)

    if tensor is not None:
        assert told([tensor]) == read_anew(text)


def test_body_of_the_same_frame_is_read_by_it() -> None:
    """Or nothing would be gained."""
    assert framed_input(USUAL) is None
    assert plain_inputs(orjson.loads(USUAL), USUAL)

    tensor = framed_input(USUAL.replace(b"2.5", b"-7e2"))

    assert tensor is not None
    assert tensor.array.tolist() == [[1.0, -700.0]]


@pytest.mark.parametrize(
    "text",
    [
        b'{"inputs": [{"name": "data", "datatype": "FP32", "shape": [1], "data": [1]}]}',
        b'{"inputs": [{"name": "x", "data": [2], "datatype": "FP32", "shape": [1], "data": [1]}]}',
        b'{"inputs": [], "inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}',
        b'{"inputs": [{"name": "x\\"", "datatype": "FP32", "shape": [1], "data": [1]}]}',
        b'{"id": "a", "inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}',
        (
            b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}, '
            b'{"name": "y", "datatype": "FP32", "shape": [1], "data": [1]}]}'
        ),
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data":' + b" " * 2000 + b"[1]}]}",
        b" " * 2000 + b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}',
    ],
)
def test_frame_that_could_mean_something_else_is_not_kept(text: bytes) -> None:
    """A name that looks like a key, a key given twice, an escape, an id, a beginning that is too long to be kept."""
    assert plain_inputs(orjson.loads(text), text)
    assert framed_input(text) is None


def test_frames_are_bounded() -> None:
    """However many bodies differ in their frames."""
    for number in range(3000):
        text = USUAL.replace(b'"x"', b'"x%d"' % number)
        assert plain_inputs(orjson.loads(text), text)
    assert len(plain_form._frames) <= 1024
