"""Pairs: what they keep of a request, and what that takes."""

import numpy as np
import pytest

from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.tensor import DATATYPES, Array, Tensor
from penstock.inference.shadow_pair import ShadowPair, held_bytes, own_rows
from penstock.wire.raw import array_of


def tensor(array: Array, datatype: str = "FP32") -> Tensor:
    """Return a tensor."""
    return Tensor("T", DATATYPES[datatype], array)


def test_inputs_are_kept_by_reference_and_rows_of_a_batch_are_not() -> None:
    """The batch's output would be kept whole for one row of it."""
    batch = np.arange(640, dtype=np.float32).reshape(64, 10)
    asked = tensor(np.ones((1, 4), np.float32))
    request = InferenceRequest("http", "m", "", [asked])

    pair = ShadowPair(request, InferenceResponse(ModelVersion("m", "1"), [tensor(batch[3:4])], "r"), 5)

    kept = pair.outputs["T"].array
    assert pair.request.inputs[0].array is asked.array
    assert kept.base is None
    assert np.array_equal(kept, batch[3:4])
    assert pair.size_bytes == 2048 + 16 + 40


def test_an_answer_of_its_own_is_not_copied() -> None:
    """A run of one request has made it for that request."""
    alone = tensor(np.ones((3, 4), np.float32))

    assert own_rows(alone).array is alone.array
    assert own_rows(tensor(alone.array[:])).array.base is alone.array


@pytest.mark.parametrize("body", [bytes(1000), bytearray(1000), memoryview(bytes(1000))[100:]], ids=["bytes", "bytearray", "view"])
def test_a_view_holds_the_whole_body(body: bytes | bytearray | memoryview) -> None:
    """Which is counted once, however many tensors lie in it."""
    view = memoryview(body)
    tensors = [tensor(array_of("T", DATATYPES["FP32"], (2, 2), view[start : start + 16])) for start in (0, 16)]

    assert held_bytes(tensors) == 1000


def test_texts_are_counted() -> None:
    """The array holds references alone."""
    assert held_bytes([tensor(np.array(["abc", "d"], object), "BYTES")]) == 16 + 3 + 4 + 1 + 4


def test_an_array_of_another_library_is_counted() -> None:
    """As ONNX Runtime's outputs are: what numpy knows of their memory has no length."""
    array = np.from_dlpack(np.ones((4, 5), np.float32))

    assert array.base is not None
    assert held_bytes([tensor(array)]) == 80
    assert held_bytes([tensor(array[1:2])]) == 80
