"""A line holds every value of every datatype exactly."""

import numpy as np
import orjson
import pytest
from predictions import record
from tensors import same, tensors

from penstock.domain.tensor import DATATYPES, Tensor
from penstock.payloads.json_rows import line_of, lines_of
from penstock.payloads.reading import array_of

RANDOM = np.random.default_rng(3)
CASES = {
    wire: np.frombuffer(RANDOM.bytes(datatype.itemsize * 64), datatype.dtype)
    for wire, datatype in DATATYPES.items()
    if wire not in {"BYTES", "BOOL"}
}
CASES["BOOL"] = np.array([True, False, True])
CASES["BYTES"] = np.array(["", "ä\n\"'", "null", "\u2028"], dtype=object)


def back(array, wire):
    """Return the cell of an array, and the array that is read from it."""
    line = line_of(record([Tensor("X", DATATYPES[wire], array)]))
    assert line.count(b"\n") == 1
    (cell,) = orjson.loads(line)["inputs"]
    return cell, array_of(cell)


@pytest.mark.parametrize("wire", CASES)
def test_any_bits_of_a_datatype_are_read_back_as_they_were(wire):
    """Any bits of a datatype are read back as they were."""
    _, found = back(CASES[wire], wire)
    assert found.dtype == CASES[wire].dtype
    assert found.tobytes() == CASES[wire].tobytes() if wire != "BYTES" else found.tolist() == CASES[wire].tolist()


@pytest.mark.parametrize("wire", ["FP32", "FP64"])
def test_finite_numbers_stand_as_numbers_and_are_read_back_bit_by_bit(wire):
    """Finite numbers stand as numbers and are read back bit by bit."""
    values = RANDOM.normal(size=20_000).astype(DATATYPES[wire].dtype) * DATATYPES[wire].dtype.type(10.0) ** RANDOM.integers(-30, 30, 20_000)
    values = np.append(values.astype(DATATYPES[wire].dtype), [np.float32(-0.0), np.finfo(DATATYPES[wire].dtype).tiny / 4]).astype(
        values.dtype
    )
    cell, found = back(values.astype(DATATYPES[wire].dtype), wire)
    assert "data" in cell
    assert found.tobytes() == values.astype(DATATYPES[wire].dtype).tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_json_lacks_makes_the_tensor_raw(value):
    """A number that json lacks makes the tensor raw."""
    cell, found = back(np.array([1.0, value], dtype=np.float32), "FP32")
    assert "b64" in cell
    assert found.tobytes() == np.array([1.0, value], dtype=np.float32).tobytes()


@pytest.mark.parametrize("item", [b"\xff\xfe", "\ud800"])
def test_an_element_that_is_no_utf8_makes_the_tensor_raw(item):
    """An element that is no utf8 makes the tensor raw."""
    cell, found = back(np.array(["plain", item], dtype=object), "BYTES")
    assert "b64" in cell
    expected = item if isinstance(item, bytes) else item.encode("utf-8", "surrogatepass")
    assert found.tolist() == ["plain", expected]


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 3, 4)])
def test_the_shape_is_kept(shape):
    """The shape is kept."""
    array = np.ones(shape, dtype=np.int64)
    cell, found = back(array, "INT64")
    assert cell["shape"] == list(shape)
    assert found.shape == shape


def test_a_line_has_the_columns_of_the_record():
    """A line has the columns of the record."""
    row = orjson.loads(line_of(record()))
    assert row.keys() == {"schema_version", "timestamp", *record()._fields} - {"timestamp_us"}
    assert row["timestamp"] == "2023-11-14T22:13:20.000000Z"


def test_rows_that_are_written_together_are_read_back_bit_by_bit_however_they_differ():
    """Alike or not: some hold what JSON lacks, some are large, some have several tensors, or none."""
    nan, large = np.array([[np.nan, 1.0]], np.float32), RANDOM.normal(size=(2, 1000)).astype(np.float32)
    plain = [Tensor("X", DATATYPES["FP32"], RANDOM.normal(size=(1, 2)).astype(np.float32)) for _ in range(5)]
    odd = [Tensor("X", DATATYPES["FP32"], array) for array in (nan, large)]
    sent = [*([each] for each in plain), list(tensors()), [], [odd[0]], *([each] for each in plain), odd, [plain[0], odd[1]]]
    lines = lines_of([record(inputs, inputs[::-1], request_id=f'"{number}]') for number, inputs in enumerate(sent)])
    rows = [orjson.loads(line) for line in lines]
    for number, (row, inputs) in enumerate(zip(rows, sent, strict=True)):
        assert row["request_id"] == f'"{number}]'
        for side, expected in (("inputs", inputs), ("outputs", inputs[::-1])):
            assert [cell["name"] for cell in row[side]] == [each.name for each in expected]
            assert all(same(array_of(cell), each.array) for cell, each in zip(row[side], expected, strict=True))


@pytest.mark.parametrize("wire", [wire for wire in CASES if wire != "BYTES"])
def test_a_block_of_rows_says_what_its_rows_say_one_by_one(wire):
    """Whatever the datatype."""
    array = CASES[wire]
    records = [record([Tensor("X", DATATYPES[wire], array[place : place + 3])]) for place in range(len(array) - 3)]
    assert lines_of(records) == list(map(line_of, records))
