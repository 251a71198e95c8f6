"""JSON in front of raw tensors, remembered from one request to the next."""

import json
from typing import Any

import numpy as np
import pytest

from penstock.domain.errors import InvalidInput
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.http import codec

FP32 = DATATYPES["FP32"]
VERSION = ModelVersion("m", "3", "d")


def schema() -> ModelSchema:
    """Return the schema of one more version."""
    return ModelSchema((TensorSpec("X", FP32, (-1, 2)),), (TensorSpec("Y", FP32, (-1, 2)), TensorSpec("Z", FP32, (-1, 1))), batched=True)


def header(**more: Any) -> bytes:
    """Return the JSON that asks for one row and for the output Y as raw bytes."""
    entry = {"name": "X", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    wishes = [{"name": "Y", "parameters": {"binary_data": True}}]
    return json.dumps({"inputs": [entry], "outputs": wishes, **more}).encode()


def row(*values: float) -> bytes:
    """Return a tensor on the wire."""
    return np.array(values, "<f4").tobytes()


def decoded(text: bytes, raw: bytes, takes: ModelSchema) -> tuple[InferenceRequest, codec.Encode]:
    """Return a body as the codec reads it."""
    request = InferenceRequest("http", "m", "", [])
    return request, codec.decode(text + raw, str(len(text)), request, takes, 1 << 20)


def answer(*values: float, rows: int = 1) -> InferenceResponse:
    """Return an answer with the output Y."""
    array = np.array(values, np.float32).reshape(rows, -1)
    return InferenceResponse(VERSION, [Tensor("Y", FP32, array)], "r", "", batch_rows=1)


def body(encode: codec.Encode, response: InferenceResponse) -> tuple[bytes, int | None]:
    """Return an answer as it is written."""
    encoded = encode(response)
    return b"".join(map(bytes, encoded.parts)), encoded.json_bytes


def is_remembered(encode: codec.Encode) -> bool:
    """Tell whether a request was read by the form of an earlier one."""
    return getattr(encode, "func", None) is codec.encode_raw


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without forms."""
    monkeypatch.setattr(codec, "_forms", codec.BinaryForms())


def test_second_request_reads_and_writes_what_the_first_would() -> None:
    """Of the same text only the bytes behind it are looked at."""
    takes = schema()
    first, write_first = decoded(header(), row(1, 2), takes)
    told_first = body(write_first, answer(5, 6))
    again, write_again = decoded(header(), row(3, 4), takes)

    assert not is_remembered(write_first)
    assert is_remembered(write_again)
    (one,), (other,) = first.inputs, again.inputs
    assert (other.name, other.datatype, again.outputs) == (one.name, one.datatype, ("Y",))
    assert again.inputs[0].array.tolist() == [[3.0, 4.0]]
    assert again.inputs[0].array.__array_interface__["data"][0] % 16 == 0
    assert body(write_again, answer(5, 6)) == told_first
    assert body(write_again, answer(7, 8)) == (told_first[0][:-8] + row(7, 8), told_first[1])
    assert body(write_again, answer(1, 2, 3, 4, rows=2)) == body(write_first, answer(1, 2, 3, 4, rows=2))


@pytest.mark.parametrize("raw", [row(1), row(1, 2, 3), b""])
def test_other_number_of_bytes_is_refused_as_ever(raw: bytes) -> None:
    """With the same words whether or not the text is known."""
    takes = schema()
    with pytest.raises(InvalidInput) as before:
        decoded(header(), raw, takes)
    decoded(header(), row(1, 2), takes)
    with pytest.raises(InvalidInput) as after:
        decoded(header(), raw, takes)

    assert after.value.message == before.value.message


def test_text_means_to_another_version_what_that_makes_of_it() -> None:
    """A new version may lack the output."""
    decoded(header(), row(1, 2), schema())
    halves = ModelSchema((TensorSpec("X", FP32, (-1, 2)),), (TensorSpec("Y", DATATYPES["BYTES"], (-1,)),), batched=True)
    _, write = decoded(header(), row(1, 2), halves)
    assert not is_remembered(write)


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        pytest.param(header(id="a"), row(1, 2), id="id"),
        pytest.param(header(parameters={"timeout": 5}), row(1, 2), id="deadline"),
        pytest.param(header(outputs=[{"name": "Y"}]), row(1, 2), id="answer-in-json"),
        pytest.param(header(outputs=[{"name": "Y", "parameters": {"binary_data": True, "classification": 1}}]), row(1, 2), id="classes"),
        pytest.param(header(x="y" * 3000), row(1, 2), id="long"),
        pytest.param(
            header(
                inputs=[
                    {"name": "A", "shape": [1, 2], "datatype": "FP32", "data": [7, 8]},
                    {"name": "X", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
                ]
            ),
            row(1, 2),
            id="values-beside",
        ),
        pytest.param(
            header(inputs=[{"name": "X", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}]),
            b"\1\0\0\0a",
            id="text",
        ),
    ],
)
def test_text_that_may_differ_next_time_is_not_remembered(text: bytes, raw: bytes) -> None:
    """Nor one whose bytes have to be looked at."""
    takes = schema()
    decoded(text, raw, takes)
    _, write = decoded(text, raw, takes)
    assert not is_remembered(write)


def test_forms_are_bounded() -> None:
    """However many texts there are."""
    takes = schema()
    for number in range(1500):
        decoded(header(x=number), row(1, 2), takes)
    assert len(codec._forms._forms) <= 1024


def test_parameters_that_are_null_say_nothing() -> None:
    """As everywhere else in the protocol."""
    takes = schema()
    decoded(header(parameters=None), row(1, 2), takes)
    _, write = decoded(header(parameters=None), row(3, 4), takes)
    assert is_remembered(write)


def test_versions_that_are_asked_in_turns_both_remember() -> None:
    """The same text means something to each."""
    one, other = schema(), schema()
    for takes in (one, other):
        decoded(header(), row(1, 2), takes)
    assert all(is_remembered(decoded(header(), row(1, 2), takes)[1]) for takes in (one, other))
