"""The table of datatypes, and tensors."""

import pickle

import numpy as np
import pytest

from penstock.domain.tensor import DATATYPE_OF_ONNX, DATATYPES, Tensor, TensorSpec, element_count


def test_every_datatype_of_the_protocol_is_there() -> None:
    """The table has the protocol's fourteen rows, each under its own name and ONNX name."""
    assert set(DATATYPES) == {
        *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
        *("FP16", "FP32", "FP64", "BYTES", "BF16"),
    }
    assert all(row.wire == name for name, row in DATATYPES.items())
    assert len(DATATYPE_OF_ONNX) == len(DATATYPES)


@pytest.mark.parametrize("name", [name for name in DATATYPES if name != "BYTES"])
def test_element_takes_the_same_bytes_on_the_wire_and_in_memory(name: str) -> None:
    """So that raw bytes can be viewed in place, little-endian."""
    row = DATATYPES[name]

    assert row.dtype.itemsize == row.itemsize
    assert row.dtype.newbyteorder("<") == row.dtype


def test_size_counts_bytes_of_numbers_and_framed_text() -> None:
    """Numbers take their bytes, texts their characters and a length."""
    numbers = Tensor("X", DATATYPES["FP32"], np.zeros((2, 3), np.float32))
    texts = Tensor("X", DATATYPES["BYTES"], np.array(["", "abc"], dtype=object))

    assert (numbers.size_bytes, texts.size_bytes) == (24, 11)


@pytest.mark.parametrize(("shape", "count"), [((), 1), ((0, 5), 0), ((2, 3), 6), ((2**40, 2**40), 2**80)])
def test_element_count_never_wraps(shape: tuple[int, ...], count: int) -> None:
    """The product is exact, however large."""
    assert element_count(shape) == count


def test_what_a_model_declares_is_the_same_in_another_process() -> None:
    """A trial of a model, in a process of its own, sends it over a pipe; datatypes are told apart by identity."""
    spec = TensorSpec("X", DATATYPES["FP32"], (-1, 2), optional=True, labels=("a", "b"), columns=("one", "two"))
    sent = pickle.loads(pickle.dumps(spec))

    assert sent == spec
    assert sent.datatype is spec.datatype
