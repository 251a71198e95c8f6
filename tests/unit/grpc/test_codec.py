"""Tensors and parameters of the protobuf messages, without a server."""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.domain.errors import InvalidInput, PenstockError, TooLarge, Unimplemented
from penstock.domain.model import ModelVersion
from penstock.domain.request import CRITICAL, NORMAL, InferenceRequest, InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, Tensor, TensorSpec
from penstock.grpc.codec import classified, decode_body, decode_head, encode
from penstock.wire import inference as pb
from penstock.wire.raw import raw_of

FIELDS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The protocol's table: where typed contents stand."""

INPUT = pb.ModelInferRequest.InferInputTensor
OUTPUT = pb.ModelInferRequest.InferRequestedOutputTensor
PARAMETER = pb.InferParameter


def request() -> InferenceRequest:
    """Return a request that has arrived and says nothing yet."""
    return InferenceRequest("grpc", "m", "", [], arrived_ns=1_000)


def decoded(message: pb.ModelInferRequest) -> InferenceRequest:
    """Return what the message says."""
    filled, received = request(), pb.ModelInferRequest.FromString(message.SerializeToString())
    decode_head(received, filled)
    decode_body(received, filled)
    return filled


def raw(datatype: str, shape: list[int], data: bytes) -> pb.ModelInferRequest:
    """Return a message with one raw input."""
    return pb.ModelInferRequest(inputs=[INPUT(name="X", datatype=datatype, shape=shape)], raw_input_contents=[data])


def typed(datatype: str, shape: list[int], **contents: list[Any]) -> pb.ModelInferRequest:
    """Return a message with one typed input."""
    tensor = INPUT(name="X", datatype=datatype, shape=shape, contents=pb.InferTensorContents(**contents))
    return pb.ModelInferRequest(inputs=[tensor])


def as_array(datatype: str, values: list[Any]) -> Array:
    """Return the values as our arrays hold them."""
    return np.array(values, dtype=DATATYPES[datatype].dtype)


def extremes(datatype: str) -> list[Any]:
    """Return the values of a datatype that are easiest to get wrong."""
    dtype = DATATYPES[datatype].dtype
    if datatype == "BYTES":
        return ["", "a", "日本", "nul\0", "\0"]
    if dtype.kind == "b":
        return [True, False]
    if dtype.kind in "iu":
        return [np.iinfo(dtype).min, 0, np.iinfo(dtype).max]
    return [float(np.finfo(dtype).min), -0.0, float(np.finfo(dtype).tiny), math.inf, -math.inf, math.nan]


def on_the_wire(datatype: str, values: list[Any]) -> list[Any]:
    """Return the values as typed contents take them."""
    return [value.encode() for value in values] if datatype == "BYTES" else values


@pytest.mark.parametrize("datatype", FIELDS)
def test_typed_extremes_equal_the_same_values_sent_raw(datatype: str) -> None:
    """Both forms give the same array, of the dtype that the session needs, bit by bit."""
    values = extremes(datatype)
    data = bytes(raw_of(Tensor("X", DATATYPES[datatype], as_array(datatype, values))))
    contents = {FIELDS[datatype]: on_the_wire(datatype, values)}

    (one,) = decoded(typed(datatype, [len(values)], **contents)).inputs
    (other,) = decoded(raw(datatype, [len(values)], data)).inputs

    assert one.array.dtype == other.array.dtype == DATATYPES[datatype].dtype
    np.testing.assert_array_equal(one.array, other.array)
    assert bytes(raw_of(one)) == bytes(raw_of(other)) == data


ELEMENTS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "BOOL": st.booleans(),
    "BYTES": st.text(st.characters(exclude_categories=["Cs"])),
    "FP32": st.floats(width=32),
    "FP64": st.floats(),
    **{
        name: st.integers(int(np.iinfo(DATATYPES[name].dtype).min), int(np.iinfo(DATATYPES[name].dtype).max))
        for name in FIELDS
        if "INT" in name
    },
}


@st.composite
def tensors(draw: st.DrawFn) -> tuple[str, list[Any], list[int]]:
    """Draw a datatype, values of it and a shape that holds them."""
    datatype = draw(st.sampled_from(sorted(FIELDS)))
    values = draw(st.lists(ELEMENTS[datatype], max_size=12))
    divisors = [n for n in range(1, len(values) + 1) if len(values) % n == 0]
    columns = draw(st.sampled_from(divisors)) if divisors else 3
    return datatype, values, [len(values) // columns, columns]


@settings(deadline=None)
@given(tensors())
def test_typed_equals_raw(tensor: tuple[str, list[Any], list[int]]) -> None:
    """Whatever the values, the two forms of an input cannot be told apart once decoded."""
    datatype, values, shape = tensor
    data = bytes(raw_of(Tensor("X", DATATYPES[datatype], as_array(datatype, values))))

    (one,) = decoded(typed(datatype, shape, **{FIELDS[datatype]: on_the_wire(datatype, values)})).inputs
    (other,) = decoded(raw(datatype, shape, data)).inputs

    assert one.array.shape == other.array.shape == tuple(shape)
    assert bytes(raw_of(one)) == bytes(raw_of(other)) == data


def test_raw_input_is_not_copied() -> None:
    """The array is a view of protobuf's bytes."""
    (tensor,) = decoded(raw("FP32", [2], bytes(8))).inputs

    assert tensor.array.base is not None
    assert not tensor.array.flags.owndata


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("INT8", [0, 128]),
        ("INT8", [-129]),
        ("INT16", [40_000]),
        ("INT16", [-(2**31)]),
        ("UINT8", [300]),
        ("UINT16", [2**32 - 1]),
    ],
)
def test_typed_integer_that_does_not_fit_is_refused(datatype: str, values: list[int]) -> None:
    """What Triton would truncate is an error that names the value."""
    with pytest.raises(InvalidInput, match=f"{datatype} and holds {values[-1]}"):
        decoded(typed(datatype, [len(values)], **{FIELDS[datatype]: values}))


BAD_INPUTS: Final = {
    "raw-and-typed": (
        pb.ModelInferRequest(inputs=typed("FP32", [1], fp32_contents=[1.0]).inputs, raw_input_contents=[bytes(4)]),
        "must not be specified when using raw_input_contents",
    ),
    "fewer-raw-entries": (
        pb.ModelInferRequest(inputs=[INPUT(name=name, datatype="FP32", shape=[1]) for name in "XZ"], raw_input_contents=[bytes(4)]),
        "unable to find data for input tensor 'Z'",
    ),
    "more-raw-entries": (
        pb.ModelInferRequest(inputs=[INPUT(name="X", datatype="FP32", shape=[1])], raw_input_contents=[bytes(4), bytes(4)]),
        "2 entries for 1 inputs",
    ),
    "no-data": (
        pb.ModelInferRequest(inputs=[INPUT(name="X", datatype="FP32", shape=[1])]),
        "unable to find data for input tensor 'X'",
    ),
    "wrong-field": (typed("INT32", [1], fp32_contents=[1.0]), "unexpected explicit tensor data.*fp32_contents"),
    "field-of-wider-type": (typed("INT32", [1], int64_contents=[1]), "unexpected explicit tensor data"),
    "two-fields": (typed("INT32", [1], int_contents=[1], uint_contents=[1]), "already supplied in int_contents"),
    "typed-fp16": (typed("FP16", [1], fp32_contents=[1.0]), "FP16, which has no contents field"),
    "typed-bf16": (typed("BF16", [1], bytes_contents=[b"ab"]), "BF16, which has no contents field"),
    "fewer-values": (typed("INT32", [2, 2], int_contents=[1, 2, 3]), "byte size mismatch.*expected 4 elements.*got 3"),
    "more-values": (typed("INT32", [1], int_contents=[1, 2]), "byte size mismatch"),
    "contents-empty": (typed("INT32", [1]), "byte size mismatch.*got 0"),
    "raw-too-short": (raw("FP32", [2], bytes(7)), "expected 8 bytes"),
    "raw-not-a-multiple": (raw("FP32", [1], bytes(5)), "expected 4 bytes"),
    "raw-bool-2": (raw("BOOL", [1], b"\x02"), "other than 0 and 1"),
    "raw-text-truncated": (raw("BYTES", [1], b"\x05\0\0\0ab"), "5 bytes announced"),
    "typed-text-not-utf8": (typed("BYTES", [1], bytes_contents=[b"\xff"]), "not UTF-8"),
    "datatype-unknown": (raw("INT33", [1], bytes(4)), "invalid datatype 'INT33'"),
    "datatype-lower-case": (raw("fp32", [1], bytes(4)), "invalid datatype 'fp32'"),
    "negative-dimension": (raw("FP32", [1, -16], bytes(64)), "dimensions should be specified"),
    "rank-33": (raw("FP32", [1] * 33, bytes(4)), "33 dimensions"),
    "huge-shape": (raw("FP32", [2**62, 2**62], bytes(4)), "exceed maximum size"),
    "65-inputs": (
        pb.ModelInferRequest(inputs=[INPUT(name=str(n), datatype="FP32", shape=[0]) for n in range(65)]),
        "65 inputs; at most 64",
    ),
    "65-outputs": (pb.ModelInferRequest(outputs=[OUTPUT(name=str(n)) for n in range(65)]), "65 outputs; at most 64"),
    "input-in-shared-memory": (
        pb.ModelInferRequest(inputs=[INPUT(name="X", parameters={"shared_memory_region": PARAMETER(string_param="r")})]),
        "'X' asks for shared memory",
    ),
    "output-in-shared-memory": (
        pb.ModelInferRequest(outputs=[OUTPUT(name="Y", parameters={"shared_memory_byte_size": PARAMETER(int64_param=4)})]),
        "'Y' asks for shared memory",
    ),
    "classification-0": (
        pb.ModelInferRequest(outputs=[OUTPUT(name="Y", parameters={"classification": PARAMETER(int64_param=0)})]),
        "classification of output 'Y'",
    ),
    "classification-text": (
        pb.ModelInferRequest(outputs=[OUTPUT(name="Y", parameters={"classification": PARAMETER(string_param="3")})]),
        "classification of output 'Y'",
    ),
    "id-129-bytes": (pb.ModelInferRequest(id="x" * 129), "more than 128 bytes"),
    "id-with-newline": (pb.ModelInferRequest(id="a\nb"), "control characters"),
}


@pytest.mark.parametrize(("message", "reason"), BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_bad_message_is_refused(message: pb.ModelInferRequest, reason: str) -> None:
    """Each rule of the protocol about tensors has its own clear text."""
    with pytest.raises(InvalidInput, match=reason):
        decoded(message)


def test_zero_elements_are_accepted_in_both_forms() -> None:
    """Raw needs its empty entry, typed its empty contents."""
    (one,) = decoded(raw("FP32", [0, 4], b"")).inputs
    (other,) = decoded(typed("FP32", [0, 4])).inputs

    assert one.array.shape == other.array.shape == (0, 4)


def test_empty_shape_is_a_scalar() -> None:
    """A rank-0 tensor has one element."""
    (tensor,) = decoded(typed("FP64", [], fp64_contents=[0.1])).inputs

    assert tensor.array.shape == ()
    assert tensor.array == 0.1


def parameters(**given: pb.InferParameter) -> pb.ModelInferRequest:
    """Return a message with request parameters."""
    return pb.ModelInferRequest(parameters=given)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (parameters(triton_x=PARAMETER(int64_param=1)), InvalidInput),
        (parameters(headers=PARAMETER(string_param="x")), InvalidInput),
        (parameters(priority=PARAMETER(int64_param=-1)), InvalidInput),
        (parameters(priority=PARAMETER(string_param="1")), InvalidInput),
        (parameters(timeout=PARAMETER(int64_param=0)), InvalidInput),
        (parameters(timeout=PARAMETER(uint64_param=5)), InvalidInput),
        (parameters(timeout=PARAMETER(double_param=5.0)), InvalidInput),
        (parameters(sequence_start=PARAMETER(int64_param=1)), InvalidInput),
        (parameters(triton_enable_empty_final_response=PARAMETER(string_param="yes")), InvalidInput),
        (parameters(mine=PARAMETER(uint64_param=5)), InvalidInput),
        (parameters(mine=PARAMETER()), InvalidInput),
        (parameters(sequence_id=PARAMETER(int64_param=7)), Unimplemented),
    ],
    ids=lambda value: str(value).replace("\n", " ") if isinstance(value, pb.ModelInferRequest) else "",
)
def test_bad_parameter_is_refused(message: pb.ModelInferRequest, error: type[PenstockError]) -> None:
    """Reserved names, wrong members of the oneof and values out of range are errors."""
    with pytest.raises(error):
        decoded(message)


def test_parameters_that_mean_something_are_taken() -> None:
    """`timeout` in microseconds becomes the deadline, `priority` the place in the queue."""
    filled = decoded(parameters(timeout=PARAMETER(int64_param=5), priority=PARAMETER(uint64_param=1)))

    assert filled.deadline_ns == 6_000
    assert filled.priority == CRITICAL


def test_other_parameters_are_ignored() -> None:
    """Custom keys, HTTP's keys and Triton's stream flag change nothing."""
    filled = decoded(
        parameters(
            mine=PARAMETER(double_param=0.5),
            binary_data_output=PARAMETER(string_param="on HTTP this must be a boolean"),
            triton_enable_empty_final_response=PARAMETER(bool_param=True),
            sequence_id=PARAMETER(int64_param=0),
        )
    )

    assert filled.deadline_ns is None
    assert filled.priority == NORMAL


def test_outputs_keep_their_order_and_classes() -> None:
    """The names asked for become the request's, the classes go to the encoder."""
    k = {"classification": PARAMETER(int64_param=2)}
    message = pb.ModelInferRequest(outputs=[OUTPUT(name="B", parameters=k), OUTPUT(name="A")])
    filled = request()

    classes = decode_body(message, filled)

    assert filled.outputs == ("B", "A")
    assert classes == {"B": 2}


def test_head_names_model_version_and_id() -> None:
    """What is needed to find the model, and to tell whose answer an error is."""
    filled = decoded(pb.ModelInferRequest(model_name="m", model_version="3", id="mine"))

    assert (filled.model, filled.version, filled.client_id) == ("m", "3", "mine")


def response(*outputs: Tensor) -> InferenceResponse:
    """Return an answer of version 3 of a model."""
    return InferenceResponse(ModelVersion("m", "3"), list(outputs), "r", "mine")


def encoded(answer: InferenceResponse) -> pb.ModelInferResponse:
    """Return the message of an answer, as a client reads it."""
    return pb.ModelInferResponse.FromString(encode(answer, answer.outputs))


@pytest.mark.parametrize("datatype", DATATYPES)
def test_outputs_leave_raw(datatype: str) -> None:
    """Every datatype, FP16 and BF16 included, has one raw entry and no contents; its bytes read back equal."""
    samples: dict[str, list[Any]] = {"BYTES": ["", "x\0"], "BOOL": [True, False]}
    values = samples.get(datatype, [1, 2])
    tensor = Tensor("Y", DATATYPES[datatype], as_array(datatype, values).reshape(1, 2))

    message = encoded(response(tensor))

    (output,) = message.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("Y", datatype, [1, 2])
    assert not output.HasField("contents")
    assert list(message.raw_output_contents) == [bytes(raw_of(tensor))]
    assert (message.model_name, message.model_version, message.id) == ("m", "3", "mine")


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array[:, ::2],
        lambda array: array.T,
        lambda array: array[:0],
        lambda array: array[0, 0],
    ],
    ids=["strided", "transposed", "zero-rows", "scalar"],
)
def test_output_of_any_layout_leaves_row_major(change: Callable[[Array], Array]) -> None:
    """Views that are not contiguous, empty ones and scalars are sent as their elements in order."""
    array = np.asarray(change(np.arange(12, dtype=np.float32).reshape(3, 4)))

    message = encoded(response(Tensor("Y", DATATYPES["FP32"], array)))

    assert list(message.outputs[0].shape) == list(array.shape)
    assert message.raw_output_contents[0] == array.tobytes()


def test_empty_output_keeps_its_entry() -> None:
    """The C++ client finds raw entries by position, so each output has one."""
    empty = Tensor("A", DATATYPES["FP32"], np.zeros((0, 4), np.float32))
    full = Tensor("B", DATATYPES["UINT8"], np.ones(1, np.uint8))

    assert list(encoded(response(empty, full)).raw_output_contents) == [b"", b"\x01"]


def test_answer_that_no_message_can_hold_is_too_large() -> None:
    """E31: told before two gigabytes are copied."""
    huge = np.broadcast_to(np.zeros(1, np.float64), (1 << 14, 1 << 14))

    with pytest.raises(TooLarge, match="2147483648 bytes"):
        encoded(response(Tensor("Y", DATATYPES["FP64"], huge)))


def test_classes_replace_only_the_outputs_that_ask_for_them() -> None:
    """An output with `classification` becomes text with labels, its neighbour stays."""
    spec = TensorSpec("Y", DATATYPES["FP32"], (-1, 3), labels=("a", "b", "c"))
    scores = Tensor("Y", DATATYPES["FP32"], np.array([[0.1, 0.7, 0.2]], np.float32))
    other = Tensor("Z", DATATYPES["FP32"], np.zeros((1, 1), np.float32))

    text, same = classified([scores, other], {"Y": 2}, ModelSchema((), (spec,), batched=True))

    assert text.array.tolist() == [["0.700000:1:b", "0.200000:2:c"]]
    assert same is other
