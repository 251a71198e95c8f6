"""Answers written past protobuf are what protobuf would have written."""

from typing import Final

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from penstock.domain.tensor import DATATYPES, Tensor
from penstock.wire import inference as pb
from penstock.wire.raw import raw_of
from penstock.wire.raw_response import FINAL_RESPONSE, raw_response, raw_stream_response

NAMES: Final = st.text(max_size=20)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Draw an output."""
    datatype = draw(st.sampled_from(list(DATATYPES.values())))
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=3)))
    array = np.full(shape, draw(st.text(max_size=5)), object) if datatype.wire == "BYTES" else np.ones(shape, datatype.dtype)
    return Tensor(draw(NAMES), datatype, array)


def by_protobuf(model: str, version: str, client_id: str, outputs: list[Tensor]) -> pb.ModelInferResponse:
    """Return the answer as protobuf builds it."""
    message = pb.ModelInferResponse(model_name=model, model_version=version, id=client_id)
    for tensor in outputs:
        message.outputs.add(name=tensor.name, datatype=tensor.datatype.wire, shape=tensor.array.shape)
        message.raw_output_contents.append(bytes(raw_of(tensor)))
    return message


@settings(deadline=None)
@given(NAMES, NAMES, NAMES, st.lists(tensors(), max_size=3))
def test_answer_is_protobuf_s(model: str, version: str, client_id: str, outputs: list[Tensor]) -> None:
    """Byte by byte, alone; as a message that reads the same, in a stream."""
    expected = by_protobuf(model, version, client_id, outputs)
    assert raw_response(model, version, client_id, outputs) == expected.SerializeToString()

    in_stream = pb.ModelStreamInferResponse.FromString(raw_stream_response(model, version, client_id, outputs))
    expected.parameters[FINAL_RESPONSE].bool_param = True
    assert in_stream == pb.ModelStreamInferResponse(infer_response=expected)


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, (1 << 21) - 1, 1 << 21])
def test_length_of_any_size_is_read_back(size: int) -> None:
    """Where a varint gets another byte is where a writer of varints fails."""
    output = Tensor("Y", DATATYPES["UINT8"], np.ones(size, np.uint8))

    assert raw_response("m", "1", "", [output]) == by_protobuf("m", "1", "", [output]).SerializeToString()
