"""The reader that passes protobuf by never disagrees with it: whatever the bytes, it reads the same, or leaves them alone."""

from typing import Any, Final

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from penstock.domain.tensor import DATATYPES
from penstock.wire import inference as pb
from penstock.wire.raw import ALIGNMENT, MAX_TENSORS
from penstock.wire.raw_request import RawRequest, read_raw_request

REQUEST: Final = pb.ModelInferRequest
INPUT: Final = pb.ModelInferRequest.InferInputTensor
OUTPUT: Final = pb.ModelInferRequest.InferRequestedOutputTensor
NAMES: Final = st.text(max_size=20)
TEXTS: Final = {"model_name": NAMES, "model_version": NAMES, "id": st.text(max_size=40)}
PARAMETERS: Final = st.dictionaries(NAMES, st.builds(pb.InferParameter, int64_param=st.integers(-5, 5)), max_size=1)
CONTENTS: Final = st.builds(pb.InferTensorContents, int_contents=st.lists(st.integers(-9, 9), max_size=3))
DIMENSIONS: Final = st.integers(0, 3) | st.integers(-(1 << 63), (1 << 63) - 1)
COMMON_INPUTS: Final = st.builds(
    INPUT, name=NAMES, datatype=st.sampled_from(sorted(DATATYPES)), shape=st.lists(st.integers(0, 1 << 9), max_size=3)
)
ANY_INPUTS: Final = st.builds(
    INPUT,
    name=NAMES,
    datatype=st.sampled_from([*DATATYPES, "", "fp32"]),
    shape=st.lists(DIMENSIONS, max_size=4),
    parameters=PARAMETERS,
    contents=st.none() | CONTENTS,
)
ANY_OUTPUTS: Final = st.builds(OUTPUT, name=NAMES, parameters=PARAMETERS)
UNPACKED_SHAPE: Final = b"\x0a\x01X\x12\x04FP32\x18\x01\x18\x02\x1a\x01\x03"
"""An input of shape [1, 2, 3], as a writer of proto2 would send it."""

GOOD: Final = REQUEST(
    model_name="m", inputs=[INPUT(name="X", datatype="UINT8", shape=[3])], raw_input_contents=[b"123"]
).SerializeToString()


@st.composite
def common(draw: st.DrawFn) -> bytes:
    """Draw a message of the kind that the reader is for."""
    inputs = draw(st.lists(COMMON_INPUTS, min_size=1, max_size=4))
    raw = [draw(st.binary(max_size=300)) for _ in inputs]
    outputs = draw(st.lists(st.builds(OUTPUT, name=NAMES), max_size=3))
    texts = {field: draw(strategy) for field, strategy in TEXTS.items()}
    return bytes(REQUEST(inputs=inputs, raw_input_contents=raw, outputs=outputs, **texts).SerializeToString())


@st.composite
def merged(draw: st.DrawFn) -> bytes:
    """Draw a valid message whose fields come in any order and number, some of them not for the reader."""
    pieces = (
        *(st.builds(REQUEST, **{field: strategy}) for field, strategy in TEXTS.items()),
        st.builds(REQUEST, inputs=st.lists(COMMON_INPUTS | ANY_INPUTS, max_size=2)),
        st.builds(REQUEST, outputs=st.lists(ANY_OUTPUTS, max_size=2)),
        st.builds(REQUEST, raw_input_contents=st.lists(st.binary(max_size=20), max_size=2)),
        st.builds(REQUEST, parameters=PARAMETERS),
    )
    return b"".join(message.SerializeToString() for message in draw(st.lists(st.one_of(pieces), max_size=8)))


@st.composite
def scattered(draw: st.DrawFn) -> bytes:
    """Draw a common message whose fields come in any order, some of them again and again."""
    inputs = draw(st.lists(COMMON_INPUTS, min_size=1, max_size=3))
    texts = draw(st.lists(st.one_of([st.builds(REQUEST, **{field: strategy}) for field, strategy in TEXTS.items()]), max_size=5))
    tensors = [REQUEST(inputs=[given]) for given in inputs] + [
        REQUEST(raw_input_contents=[bytes([n] * 30 * n)]) for n in range(len(inputs))
    ]
    return b"".join(message.SerializeToString() for message in draw(st.permutations([*texts, *tensors])))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a message with some bytes changed, taken out or put in."""
    data = bytearray(draw(common() | scattered()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(data[: len(data) - draw(st.integers(0, 3))])


def fields(read: RawRequest) -> dict[str, Any]:
    """Return what was read past protobuf."""
    return {
        "texts": (read.model_name, read.model_version, read.id),
        "inputs": [(given.name, given.datatype.wire, given.shape) for given in read.inputs],
        "outputs": list(read.outputs),
        "raw": [bytes(data) for data in read.raw_input_contents],
    }


def judged(data: bytes) -> dict[str, Any]:
    """Return what protobuf reads."""
    message = pb.ModelInferRequest.FromString(data)
    assert not message.parameters
    assert not any(tensor.parameters or tensor.HasField("contents") for tensor in message.inputs)
    assert not any(output.parameters for output in message.outputs)
    return {
        "texts": (message.model_name, message.model_version, message.id),
        "inputs": [(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in message.inputs],
        "outputs": [output.name for output in message.outputs],
        "raw": list(message.raw_input_contents),
    }


@settings(deadline=None, max_examples=200)
@given(common() | scattered())
@example(b"\x2a" + bytes([len(UNPACKED_SHAPE)]) + UNPACKED_SHAPE + b"\x3a\x00")
def test_common_message_is_read(data: bytes) -> None:
    """Nothing that fast clients send is left to protobuf, and both read the same, though it begins as a message before it did."""
    first, again = read_raw_request(data), read_raw_request(data)

    assert first is not None
    assert again is not None
    assert fields(first) == fields(again) == judged(data)
    check(data + data)


@settings(deadline=None, max_examples=250)
@given(merged() | damaged() | st.binary(max_size=60))
@example(GOOD[:-1])
@example(GOOD[:-2])
@example(GOOD + b"\x0a")
@example(GOOD + b"\x0a\x01n")
@example(GOOD + b"\x0a\x01\xff\x0a\x01n")
@example(GOOD + b"\x0a\x03\xed\xa0\x80")
@example(GOOD + b"\x0a\x81\x00n")
@example(GOOD + b"\x0a\x81\x80\x80\x80\x00n")
@example(GOOD + b"\x0a\x81\x80\x80\x80\x10n")
@example(GOOD + b"\x0a\x81\x80\x80\x80\x80\x00n")
@example(GOOD + b"\x8a\x00\x01n")
@example(GOOD + b"\x08\x01")
@example(GOOD + b"\x0b\x0c")
@example(GOOD + b"\x42\x01n")
def test_reader_agrees_or_leaves_the_message_alone(data: bytes) -> None:
    """Whatever comes: texts that are sent twice, lengths in too many bytes, groups, unknown fields, an early end."""
    check(data)


@pytest.mark.slow
@settings(deadline=None, max_examples=10_000)
@given(damaged())
def test_reader_agrees_on_many_damaged_messages(data: bytes) -> None:
    """The same, for long."""
    check(data)


def check(data: bytes) -> None:
    """Fail if the reader reads what protobuf refuses, or reads otherwise, the first time or when it knows the beginning."""
    for _ in range(2):
        read = read_raw_request(data)

        if read is not None:
            assert fields(read) == judged(data)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.text(max_size=16))
def test_data_lies_as_the_engine_likes_it(contents: list[bytes], name: str) -> None:
    """ONNX Runtime rounds otherwise on data that starts elsewhere; what lies well is not copied."""
    inputs = [INPUT(name="X", datatype="UINT8", shape=[len(data)]) for data in contents]
    read = read_raw_request(REQUEST(model_name=name, inputs=inputs, raw_input_contents=contents).SerializeToString())

    assert read is not None
    for data in filter(None, read.raw_input_contents):
        assert np.frombuffer(data, np.uint8).__array_interface__["data"][0] % ALIGNMENT == 0


def left_to_protobuf(**fields: Any) -> None:
    """Fail if the reader takes a message of one good raw input and these fields."""
    good = INPUT(name="X", datatype="UINT8", shape=[1])
    message = REQUEST(**{"inputs": [good], "raw_input_contents": [b"1"], **fields})
    assert read_raw_request(message.SerializeToString()) is None


def test_unusual_messages_are_left_to_protobuf() -> None:
    """Its path has the words for whatever is wrong with them, and knows parameters and typed contents."""
    given = {"p": pb.InferParameter(int64_param=1)}
    left_to_protobuf(parameters=given)
    left_to_protobuf(inputs=[INPUT(name="X", datatype="UINT8", shape=[1], parameters=given)])
    left_to_protobuf(inputs=[INPUT(name="X", datatype="UINT8", shape=[1], contents=pb.InferTensorContents())])
    left_to_protobuf(inputs=[INPUT(name="X", datatype="uint8", shape=[1])])
    left_to_protobuf(inputs=[INPUT(name="X", datatype="UINT8", shape=[-1])])
    left_to_protobuf(outputs=[OUTPUT(name="Y", parameters=given)])
    left_to_protobuf(outputs=[OUTPUT(name=str(n)) for n in range(MAX_TENSORS + 1)])
    left_to_protobuf(inputs=[INPUT(name="X" * 300, datatype="UINT8", shape=[1])])
    left_to_protobuf(raw_input_contents=[])
    left_to_protobuf(raw_input_contents=[b"1", b"2"])
