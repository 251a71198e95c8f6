"""Tensors as raw bytes."""

import struct

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from penstock.domain.errors import InvalidInput
from penstock.domain.tensor import DATATYPES, Tensor, element_count
from penstock.wire.raw import array_of, check_shape, datatype_named, raw_of

NUMBERS = [name for name in DATATYPES if name not in ("BYTES", "BOOL")]
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@pytest.mark.parametrize("name", NUMBERS)
@given(shape=SHAPES, data=st.data())
def test_any_bytes_of_numbers_survive_the_round_trip(name: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    """Bytes become an array of the shape and the same bytes again, whatever bits they hold."""
    datatype = DATATYPES[name]
    size = element_count(shape) * datatype.itemsize
    sent = data.draw(st.binary(min_size=size, max_size=size))

    array = array_of("X", datatype, shape, sent)

    assert (array.shape, array.dtype) == (shape, datatype.dtype)
    assert bytes(raw_of(Tensor("X", datatype, array))) == sent


@given(shape=SHAPES, data=st.data())
def test_booleans_survive_the_round_trip(shape: tuple[int, ...], data: st.DataObject) -> None:
    """One byte each, 0 or 1."""
    count = element_count(shape)
    sent = bytes(data.draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)))

    array = array_of("X", DATATYPES["BOOL"], shape, sent)

    assert bytes(raw_of(Tensor("X", DATATYPES["BOOL"], array))) == sent


@given(shape=SHAPES, data=st.data())
def test_texts_survive_the_round_trip(shape: tuple[int, ...], data: st.DataObject) -> None:
    """Any text, empty or with NUL, is framed by its length in bytes."""
    count = element_count(shape)
    characters = st.characters(exclude_categories=["Cs"])
    texts = data.draw(st.lists(st.text(characters, max_size=5), min_size=count, max_size=count))
    array = np.empty(count, dtype=object)
    array[:] = texts
    tensor = Tensor("X", DATATYPES["BYTES"], array.reshape(shape))

    again = array_of("X", DATATYPES["BYTES"], shape, raw_of(tensor))

    assert again.shape == shape
    assert again.ravel().tolist() == texts


def test_numbers_are_a_view_of_the_bytes() -> None:
    """Decoding copies nothing, wherever the bytes begin."""
    data = bytearray(9)

    array = array_of("X", DATATYPES["INT64"], (1,), memoryview(data)[1:])
    data[1] = 5

    assert array.tolist() == [5]


def test_array_that_is_not_contiguous_is_written_row_by_row() -> None:
    """The wire is row-major, whatever the array's layout."""
    array = np.arange(6, dtype="<i2").reshape(2, 3).T

    assert bytes(raw_of(Tensor("Y", DATATYPES["INT16"], array))) == struct.pack("<6h", 0, 3, 1, 4, 2, 5)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "words"),
    [
        pytest.param("FP32", (2,), bytes(7), "expected 8 bytes for shape [2] of FP32, got 7", id="bytes-missing"),
        pytest.param("FP32", (2,), bytes(9), "expected 8 bytes for shape [2] of FP32, got 9", id="bytes-left"),
        pytest.param("INT8", (), b"", "expected 1 bytes for shape [] of INT8, got 0", id="scalar-missing"),
        pytest.param("INT8", (0,), b"x", "expected 0 bytes for shape [0] of INT8, got 1", id="none-expected"),
        pytest.param("BOOL", (2,), b"\1\2", "a byte other than 0 and 1", id="bool-of-2"),
        pytest.param("BYTES", (2,), bytes(7), "expected 2 string elements", id="texts-cannot-fit"),
        pytest.param("BYTES", (2**39,), bytes(4), "its 4 bytes cannot hold as many", id="texts-huge-shape"),
        pytest.param("BYTES", (1,), bytes(8), "unexpected number of string elements", id="texts-left"),
        pytest.param("BYTES", (2,), b"\4\0\0\0abcd", "expected 2 string elements for input 'X', got 1", id="text-missing"),
        pytest.param("BYTES", (1,), bytes(5), "indicator in input 'X' at byte 4", id="tail-after-the-last"),
        pytest.param("BYTES", (2,), b"\3\0\0\0abc\0\0", "incomplete string length indicator", id="length-cut"),
        pytest.param("BYTES", (1,), b"\5\0\0\0abc", "5 bytes announced at byte 0, 3 left", id="text-cut"),
        pytest.param("BYTES", (1,), b"\xff\xff\xff\xff", "4294967295 bytes announced", id="length-huge"),
        pytest.param("BYTES", (1,), b"\1\0\0\0\xff", "not UTF-8", id="not-utf8"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(datatype: str, shape: tuple[int, ...], data: bytes, words: str) -> None:
    """The refusal names the input and tells what was expected and seen."""
    with pytest.raises(InvalidInput) as refused:
        array_of("X", DATATYPES[datatype], shape, data)

    assert words in refused.value.message
    assert "'X'" in refused.value.message


@pytest.mark.parametrize("text", ["fp32", "FLOAT", "", "STRING", None, 1, ["FP32"]], ids=repr)
def test_unknown_datatype_is_refused(text: object) -> None:
    """Names are case-sensitive; the refusal lists them."""
    with pytest.raises(InvalidInput, match="use one of BOOL, UINT8"):
        datatype_named(text, "X")


def test_known_datatype_is_found() -> None:
    """A name leads to its row."""
    assert datatype_named("BF16", "X") is DATATYPES["BF16"]


@pytest.mark.parametrize("shape", [[], [0], [1, 2], [1] * 32, (3,)], ids=str)
def test_fitting_shape_becomes_a_tuple(shape: list[int] | tuple[int, ...]) -> None:
    """Non-negative integers, at most 32."""
    assert check_shape(shape, "X") == tuple(shape)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        pytest.param(None, "must be a list of integers", id="missing"),
        pytest.param("12", "must be a list of integers", id="text"),
        pytest.param({"0": 1}, "must be a list of integers", id="table"),
        pytest.param([1] * 33, "33 dimensions; at most 32", id="rank-33"),
        pytest.param([-1], "holds '-1'", id="negative"),
        pytest.param([1.0], "holds '1.0'", id="float"),
        pytest.param([True], "holds 'True'", id="bool"),
        pytest.param(["1"], "dimensions should be specified as integers", id="text-inside"),
        pytest.param([2**20, 2**21], "exceed maximum size", id="too-many-elements"),
        pytest.param([0, 2**62, 2], "exceed maximum size", id="too-many-beside-none"),
        pytest.param([2**63, 2**63], "exceed maximum size", id="would-wrap"),
    ],
)
def test_unfit_shape_is_refused(shape: object, words: str) -> None:
    """The refusal names the tensor and what was seen."""
    with pytest.raises(InvalidInput) as refused:
        check_shape(shape, "X")

    assert words in refused.value.message
    assert "'X'" in refused.value.message


@pytest.mark.parametrize("shape", [[1 << 20, 0], [0, 1 << 10, 1 << 10]])
def test_shape_without_elements_is_no_larger_than_its_other_dimensions_may_be(shape: list[int]) -> None:
    """A model may answer with an output of that size, to a request of no byte."""
    assert check_shape(shape, "X") == tuple(shape)
    with pytest.raises(InvalidInput, match="causes total element count to exceed maximum size"):
        check_shape([2 * dim for dim in shape], "X")
