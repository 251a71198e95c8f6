"""C42-C53, C55, C60-C62, C80-C87: tensors as bytes, and how bodies are coded."""

import gzip
import json
from typing import Any, Final

import grpc
import numpy as np
import pytest
from cases import A16, DIFFERENCE, ONES, SUM, Case, addsub, on_each, one, tensor
from serving import Serving
from transports import HEADER_LENGTH, NUMPY, Document, Transport, encoded, message_of, texts

from penstock.wire import inference as pb

V1: Final = {"OUTPUT0": SUM, "OUTPUT1": DIFFERENCE}
HTTP: Final = ("http",)
INVALID: Final = "INVALID_ARGUMENT"
RAW_A16, RAW_ONES = (np.array(values, "<i4").tobytes() for values in (A16, ONES))
RAW_SUM, RAW_DIFFERENCE = (np.array(values, "<i4").tobytes() for values in (SUM, DIFFERENCE))
BINARY: Final = {"inputs": [tensor("INPUT0", "INT32", [1, 16], RAW_A16), tensor("INPUT1", "INT32", [1, 16], RAW_ONES)]}
MIXED: Final = {"inputs": [tensor("INPUT0", "INT32", [1, 16], RAW_A16), tensor("INPUT1", "INT32", [1, 16], ONES)]}
SHORT: Final = {"inputs": [tensor("INPUT0", "INT32", [1, 16], RAW_A16[:60]), BINARY["inputs"][1]]}
STRINGS: Final = ["", "a", "日本"]
RAW_STRINGS: Final = texts(*(item.encode() for item in STRINGS))
NUMERIC: Final = {
    "INT8": "id_i8",
    "INT16": "id_i16",
    "INT32": "id_i32",
    "INT64": "id_i64",
    "UINT8": "id_u8",
    "UINT16": "id_u16",
    "UINT32": "id_u32",
    "UINT64": "id_u64",
    "FP16": "id_fp16",
    "FP32": "id_fp32",
    "FP64": "id_fp64",
    "BF16": "id_bf16",
    "BOOL": "id_bool",
}


def extremes(datatype: str) -> bytes:
    """Return the least and the greatest value of a datatype as bytes."""
    if datatype == "BF16":
        return np.array([0xFF7F, 0x7F7F], "<u2").tobytes()
    if datatype == "BOOL":
        return b"\x00\x01"
    dtype = np.dtype(NUMPY[datatype])
    info = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return np.array([info.min, info.max], dtype).tobytes()


CASES: Final = [
    Case("C42", "addsub", BINARY, outputs=V1, shape=(1, 16), version="1"),
    Case("C43", "addsub", MIXED, outputs=V1, shape=(1, 16), version="1", over=HTTP),
    Case("C46", "addsub", SHORT, INVALID, ("64", "60", "INPUT0")),
    Case("C50", "id_str", one("BYTES", [1, 3], RAW_STRINGS), outputs={"Y": [item.encode() for item in STRINGS]}),
    Case("C52", "id_str", one("BYTES", [1, 3], RAW_STRINGS[:-6] + b"\x06\x00"), INVALID, ("X",)),
]


@pytest.mark.parametrize(("case", "transport"), on_each(CASES), indirect=["transport"])
def test_binary_tensors_are_read(case: Case, transport: Transport) -> None:
    """Each row of the table, over each transport that can ask it."""
    case.check(transport)


def binary(question: Document) -> Document:
    """Return the question with all of its outputs wanted as bytes, which gRPC does anyway."""
    return {**question, "parameters": {"binary_data_output": True}}


@pytest.mark.parametrize(
    ("datatype", "transport"),
    [pytest.param(d, t, id=f"C55-{t}-{d}") for d in NUMERIC for t in ("http", "grpc")],
    indirect=["transport"],
)
def test_extreme_values_keep_every_bit(datatype: str, transport: Transport) -> None:
    """The least and the greatest value of each datatype, in and out as bytes."""
    answer = transport.infer(NUMERIC[datatype], binary(one(datatype, [1, 2], extremes(datatype))))

    assert answer.family == "OK", answer.text
    assert answer.outputs["Y"].datatype == datatype
    assert answer.outputs["Y"].raw == extremes(datatype)


@pytest.mark.parametrize(
    ("model", "datatype", "data", "transport"),
    [
        pytest.param("id_fp16", "FP16", np.array([1.5, -2.25, 6e-8], "<f2").tobytes(), "http", id="C53-http"),
        pytest.param("id_fp16", "FP16", np.array([1.5, -2.25, 6e-8], "<f2").tobytes(), "grpc", id="C53-grpc"),
        pytest.param("id_str", "BYTES", RAW_STRINGS, "http", id="C50-bytes-http"),
        pytest.param("id_str", "BYTES", RAW_STRINGS, "grpc", id="C50-bytes-grpc"),
    ],
    indirect=["transport"],
)
def test_bytes_come_back_as_they_went(model: str, datatype: str, data: bytes, transport: Transport) -> None:
    """FP16, which JSON does not carry, and text with its length prefixes 0, 1 and 6."""
    answer = transport.infer(model, binary(one(datatype, [1, 3], data)))

    assert answer.family == "OK", answer.text
    assert answer.outputs["Y"].raw == data


@pytest.mark.parametrize("path", [pytest.param("/v2/models/addsub/versions/1/infer", id="C44-http")])
def test_one_output_can_be_binary_beside_json(server: Serving, path: str) -> None:
    """The JSON, its length in the header, then the bytes of the one output that was asked for so."""
    wanted = [{"name": "OUTPUT0", "parameters": {"binary_data": True}}, {"name": "OUTPUT1"}]

    response = server.client.post(path, json={**addsub(), "outputs": wanted})

    length = int(response.headers[HEADER_LENGTH])
    first, second = json.loads(response.content[:length])["outputs"]
    assert response.headers["content-type"] == "application/octet-stream"
    assert int(response.headers["content-length"]) == len(response.content)
    assert first["parameters"] == {"binary_data_size": 64}
    assert "data" not in first
    assert response.content[length:] == RAW_SUM
    assert second["data"] == DIFFERENCE
    assert "parameters" not in second


@pytest.mark.parametrize("path", [pytest.param("/v2/models/addsub/versions/1/infer", id="C45-http")])
def test_all_outputs_can_be_binary(server: Serving, path: str) -> None:
    """Blobs follow in the order of the JSON."""
    response = server.client.post(path, json=binary(addsub()))

    length = int(response.headers[HEADER_LENGTH])
    outputs = json.loads(response.content[:length])["outputs"]
    blobs = {"OUTPUT0": RAW_SUM, "OUTPUT1": RAW_DIFFERENCE}
    assert all("data" not in output for output in outputs)
    assert response.content[length:] == b"".join(blobs[output["name"]] for output in outputs)


BODY, LENGTH = encoded(BINARY)


@pytest.mark.parametrize(
    ("body", "length"),
    [
        pytest.param(BODY[:-8], str(LENGTH), id="C47-http"),
        pytest.param(BODY, "abc", id="C48-http"),
        pytest.param(BODY, str(len(BODY) + 1), id="C49-http"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(server: Serving, body: bytes, length: str) -> None:
    """A body without its last bytes, and lengths of the JSON that cannot be."""
    response = server.client.post("/v2/models/addsub/infer", content=body, headers={HEADER_LENGTH: length})

    assert response.status_code == 400
    assert response.json()["error"]


@pytest.mark.parametrize("coding", [pytest.param("gzip", id="C60-http")])
def test_compressed_request_is_read(server: Serving, coding: str) -> None:
    """A client may compress what it sends."""
    body = gzip.compress(json.dumps(addsub()).encode())

    response = server.client.post("/v2/models/addsub/versions/1/infer", content=body, headers={"content-encoding": coding})

    assert response.status_code == 200
    assert [output["data"] for output in response.json()["outputs"]] == [SUM, DIFFERENCE]


@pytest.mark.parametrize("values", [pytest.param(2, id="C61-http"), pytest.param(5000, id="C61-large-http")])
def test_answer_may_be_compressed_if_it_says_so(server: Serving, values: int) -> None:
    """Whatever the size, the body is what its Content-Encoding says, and the header length counts uncompressed bytes."""
    question = binary(one("FP32", [1, values], [0.0] * values))

    with server.client.stream("POST", "/v2/models/id_fp32/infer", json=question, headers={"accept-encoding": "gzip"}) as response:
        wire = b"".join(response.iter_raw())

    coding = response.headers.get("content-encoding", "identity")
    assert coding in {"identity", "gzip"}
    body = gzip.decompress(wire) if coding == "gzip" else wire
    length = int(response.headers[HEADER_LENGTH])
    assert json.loads(body[:length])["outputs"][0]["shape"] == [1, values]
    assert body[length:] == bytes(4 * values)


@pytest.mark.parametrize("coding", [pytest.param("br", id="C62-http")])
def test_unknown_compression_is_refused_and_the_known_ones_told(server: Serving, coding: str) -> None:
    """The answer names what could be sent instead."""
    response = server.client.post("/v2/models/addsub/infer", content=b"x", headers={"content-encoding": coding})

    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "gzip, deflate"
    assert response.json()["error"]


@pytest.mark.parametrize("question", [pytest.param(BINARY, id="C80-grpc"), pytest.param(addsub(), id="C81-grpc")])
def test_grpc_answers_raw_to_raw_and_typed_alike(server: Serving, question: Document) -> None:
    """Two entries of 64 bytes, and contents unset (which the transport asserts of every answer)."""
    reply = server.grpc.call("ModelInfer", message_of("addsub", question, "1"))

    assert list(reply.raw_output_contents) == [RAW_SUM, RAW_DIFFERENCE]
    assert not any(output.HasField("contents") for output in reply.outputs)


def without_second(message: pb.ModelInferRequest) -> None:
    """Take one of two raw entries away."""
    del message.raw_input_contents[1]


def with_contents(message: pb.ModelInferRequest) -> None:
    """Give an input typed contents beside its raw ones."""
    message.inputs[0].contents.int_contents.extend(A16)


def as_floats(message: pb.ModelInferRequest) -> None:
    """Move an INT32 input to the wrong typed field."""
    del message.raw_input_contents[:]
    for tensor_ in message.inputs:
        tensor_.contents.fp32_contents.extend([1.0] * 16)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(with_contents, id="C82-grpc"),
        pytest.param(without_second, id="C83-grpc"),
        pytest.param(as_floats, id="C84-grpc"),
    ],
)
def test_grpc_refuses_contents_that_contradict(server: Serving, spoil: Any) -> None:
    """Raw and typed together, too few entries, and the wrong typed field."""
    message = message_of("addsub", BINARY)
    spoil(message)

    answer = server.grpc.ask(message)

    assert answer.family == INVALID
    assert "INPUT" in answer.text


@pytest.mark.parametrize("mebibytes", [pytest.param(32, id="C86-grpc")])
def test_large_messages_pass(server: Serving, mebibytes: int) -> None:
    """32 MiB in, the same out."""
    data = np.arange(mebibytes << 18, dtype="<f4").tobytes()

    answer = server.grpc.infer("id_vec", one("FP32", [mebibytes << 18], data))

    assert answer.family == "OK", answer.text
    assert answer.outputs["Y"].raw == data


@pytest.mark.parametrize("count", [pytest.param(5, id="C87-grpc")])
def test_stream_answers_in_order(server: Serving, count: int) -> None:
    """One reply per request, in their order, ids echoed, each marked as the last of its request."""
    questions = [{**addsub(data=[number] * 16), "id": f"s{number}"} for number in range(count)]

    replies = server.grpc.stream(message_of("addsub", question, "1") for question in questions)

    assert [reply.error_message for reply in replies] == [""] * count
    assert [reply.infer_response.id for reply in replies] == [f"s{number}" for number in range(count)]
    assert [np.frombuffer(reply.infer_response.raw_output_contents[0], "<i4")[0] for reply in replies] == [
        number + 1 for number in range(count)
    ]
    assert all(reply.infer_response.parameters["triton_final_response"].bool_param for reply in replies)


@pytest.mark.parametrize("name", [pytest.param("ModelExplain", id="C88-grpc")])
def test_unknown_rpc_is_unimplemented(server: Serving, name: str) -> None:
    """A method that the service does not have."""
    call = server.channel.unary_unary(f"/inference.GRPCInferenceService/{name}")

    with pytest.raises(grpc.RpcError) as raised:
        call(b"", timeout=20)

    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
