"""What requests carry, by protocol."""

import json

import numpy as np
import pytest

from penstock.bench.bodies import body_of
from penstock.bench.payloads import random_array, shape_of
from penstock.bench.plan import CannotMeasure, Payload, Protocol, Target
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.wire import inference as pb

SPEC = TensorSpec("X", DATATYPES["FP32"], (-1, 2))
ROWS = Tensor("X", DATATYPES["FP32"], np.array([[1, 2], [3, 4]], "<f4"))


def target(protocol: Protocol) -> Target:
    """Return a target with everything that a request may carry."""
    return Target("host:1", "m", "3", protocol, (("x-key", "k"),), 250)


@pytest.mark.parametrize("wire", DATATYPES)
def test_random_arrays_are_of_their_datatype(wire: str) -> None:
    """Every datatype of the protocol can be made up, and a seed makes the same again."""
    one, same = (random_array(DATATYPES[wire], (4, 3), np.random.default_rng(1)) for _ in range(2))

    assert (one.shape, one.dtype) == ((4, 3), DATATYPES[wire].dtype)
    assert (one == same).all()


@pytest.mark.parametrize(
    ("declared", "payload", "shape"),
    [
        ((-1, 2), Payload(rows=5), (5, 2)),
        ((3, 2), Payload(rows=5), (3, 2)),
        ((-1, -1), Payload(shapes={"X": (2, 7)}), (2, 7)),
        ((), Payload(), ()),
    ],
)
def test_shape_follows_schema_rows_and_options(declared: tuple[int, ...], payload: Payload, shape: tuple[int, ...]) -> None:
    """Rows fill a free first dimension; a shape that is given fills the others."""
    assert shape_of(SPEC.__class__("X", SPEC.datatype, declared), payload) == shape


@pytest.mark.parametrize("payload", [Payload(), Payload(shapes={"X": (1, 2, 3)}), Payload(shapes={"X": (1,)})])
def test_shape_that_is_not_known_or_does_not_fit_is_refused(payload: Payload) -> None:
    """The message says how the input is declared."""
    with pytest.raises(CannotMeasure, match=r"\[-1, -1\]"):
        shape_of(TensorSpec("X", DATATYPES["FP32"], (-1, -1)), payload)


def test_http_json_is_a_complete_message() -> None:
    """The request line names model and version; deadline and headers are there; the length is the body's."""
    head, _, content = body_of(target(Protocol.HTTP_JSON), [ROWS]).partition(b"\r\n\r\n")

    lines = head.decode().splitlines()
    assert lines[0] == "POST /v2/models/m/versions/3/infer HTTP/1.1"
    assert {"Host: host:1", f"Content-Length: {len(content)}", "x-key: k", "penstock-deadline-ms: 250"} <= set(lines)
    assert json.loads(content) == {"inputs": [{"name": "X", "shape": [2, 2], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.0]}]}


def test_http_binary_carries_raw_tensors_behind_its_head() -> None:
    """The header tells where the tensors begin."""
    head, _, content = body_of(target(Protocol.HTTP_BINARY), [ROWS]).partition(b"\r\n\r\n")

    length = int(head.decode().split("Inference-Header-Content-Length: ")[1].split("\r\n")[0])
    assert json.loads(content[:length])["inputs"][0]["parameters"] == {"binary_data_size": 16}
    assert content[length:] == ROWS.array.tobytes()


@pytest.mark.parametrize(("protocol", "timeout_us"), [(Protocol.GRPC, 0), (Protocol.GRPC_STREAM, 250_000)])
def test_grpc_carries_raw_contents(protocol: Protocol, timeout_us: int) -> None:
    """A stream's request brings its deadline along; a call's own is the call's."""
    message = pb.ModelInferRequest.FromString(body_of(target(protocol), [ROWS]))

    assert (message.model_name, message.model_version) == ("m", "3")
    assert list(message.raw_input_contents) == [ROWS.array.tobytes()]
    assert message.parameters["timeout"].int64_param == timeout_us


def test_json_cannot_carry_bf16() -> None:
    """The message names a protocol that can."""
    with pytest.raises(CannotMeasure, match="http-binary"):
        body_of(target(Protocol.HTTP_JSON), [Tensor("X", DATATYPES["BF16"], np.zeros((1,), "<u2"))])


def test_header_that_is_given_stands_alone() -> None:
    """Behind an ingress the host is the model's, and two of them are one too many."""
    asked = Target("host:1", "m", headers=(("HOST", "m.example.com"), ("content-type", "text/plain")))

    head, _, _ = body_of(asked, [ROWS]).partition(b"\r\n\r\n")

    lines = [line.split(": ") for line in head.decode().splitlines()[1:]]
    assert sorted(lines) == [["Content-Length", "82"], ["HOST", "m.example.com"], ["content-type", "text/plain"]]
