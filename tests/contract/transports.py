"""The two ways to a server, behind one form of question and answer, so that a case is written once.

A question is the JSON object of the protocol. In its inputs, `raw` (bytes) in the place of `data` asks for the binary
form: the binary tensor extension over HTTP, `raw_input_contents` over gRPC.
"""

import base64
import json
import re
import struct
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import grpc
import httpx2
import numpy as np

from penstock.wire import inference as pb

SERVICE: Final = "inference.GRPCInferenceService"
HEADER_LENGTH: Final = "inference-header-content-length"
TIMEOUT_S: Final = 30

FAMILY_OF: Final = {
    200: "OK",
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "RESOURCE_EXHAUSTED",
    415: "UNIMPLEMENTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The gRPC status that says the same as an HTTP status."""

NUMPY: Final = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "BF16": "<u2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""The numpy type of each datatype; BF16 as its bits."""

CONTENTS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

# What an error text must never hold (P19): traces of the code, and places on this machine.
_INDISCREET: Final = re.compile(
    "|".join(
        map(
            re.escape,
            {
                "Traceback",
                "site-packages",
                'File "',
                ".py",
                str(Path.home()),
                tempfile.gettempdir() + "/",
                sys.prefix,
                str(Path(__file__).parents[2]),
            }
            - {"/"},
        )
    )
)

Document = dict[str, Any]


@dataclass(frozen=True)
class Output:
    """One tensor of an answer."""

    datatype: str
    shape: list[int]
    values: list[Any]
    """Flat, row-major; BYTES as `bytes`, FP16 and BF16 as numpy reads them."""
    raw: bytes | None = None
    """The bytes on the wire, if the tensor came in binary form."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    family: str
    """The name of the gRPC status, over HTTP the one of the same meaning."""
    text: str = ""
    """What the error says."""
    id: str = ""
    model: str = ""
    version: str = ""
    outputs: dict[str, Output] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """HTTP's headers, or gRPC's trailing metadata."""


class Transport(Protocol):
    """One of the two."""

    name: str

    def infer(self, model: str, question: Document, version: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to a question."""

    def alive(self) -> bool:
        """Tell whether the server lives and is ready."""


class HttpTransport:
    """The REST form."""

    name = "http"

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client

    def infer(self, model: str, question: Document, version: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Post the question; tensors with `raw` travel behind the JSON."""
        path = f"/v2/models/{segment(model)}" + (f"/versions/{segment(version)}" if version else "")
        body, length = encoded(question)
        extra = {} if length is None else {HEADER_LENGTH: str(length)}
        return answer_of(self.client.post(f"{path}/infer", content=body, headers={**extra, **(headers or {})}))

    def alive(self) -> bool:
        """Ask both health routes."""
        return all(self.client.get(f"/v2/health/{what}").status_code == 200 for what in ("live", "ready"))


class GrpcTransport:
    """The gRPC form."""

    name = "grpc"

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel

    def infer(self, model: str, question: Document, version: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Call ModelInfer with the same question as a message."""
        return self.ask(message_of(model, question, version), headers)

    def ask(self, message: pb.ModelInferRequest, headers: Mapping[str, str] | None = None) -> Answer:
        """Call ModelInfer."""
        try:
            reply, call = self.rpc("ModelInfer").with_call(message, timeout=TIMEOUT_S, metadata=tuple((headers or {}).items()))
        except grpc.RpcError as error:
            return refusal_of(error)
        return _answer(reply, {key: value for key, value in call.trailing_metadata() if isinstance(value, str)})

    def call(self, name: str, message: Any, metadata: Sequence[tuple[str, str]] = ()) -> Any:
        """Return the reply of a unary RPC, or raise its `grpc.RpcError`."""
        return self.rpc(name)(message, timeout=TIMEOUT_S, metadata=metadata)

    def refusal(self, name: str, message: Any, metadata: Sequence[tuple[str, str]] = ()) -> Answer:
        """Return how a unary RPC failed; OK if it did not."""
        try:
            self.call(name, message, metadata)
        except grpc.RpcError as error:
            return refusal_of(error)
        return Answer("OK")

    def rpc(self, name: str) -> grpc.UnaryUnaryMultiCallable:
        """Return the raw call of a unary RPC; it also takes bytes."""
        reply = getattr(pb, pb.SERVICE.methods_by_name[name].output_type.name)
        return self.channel.unary_unary(f"/{SERVICE}/{name}", request_serializer=as_bytes, response_deserializer=reply.FromString)

    def stream(self, messages: Iterable[pb.ModelInferRequest]) -> list[pb.ModelStreamInferResponse]:
        """Return the replies of ModelStreamInfer."""
        call = self.channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            request_serializer=as_bytes,
            response_deserializer=pb.ModelStreamInferResponse.FromString,
        )
        return list(call(iter(messages), timeout=TIMEOUT_S))

    def alive(self) -> bool:
        """Ask both health RPCs."""
        live = self.call("ServerLive", pb.ServerLiveRequest()).live
        return bool(live and self.call("ServerReady", pb.ServerReadyRequest()).ready)


def segment(text: str) -> str:
    """Return the text as one part of a path, which no client takes for a step upwards."""
    return quote(text, safe="").replace(".", "%2E") if text in {".", ".."} else quote(text, safe="")


def as_bytes(message: Any) -> bytes:
    """Return a message on the wire; bytes pass as they are, also if they are no message."""
    return message if isinstance(message, bytes) else message.SerializeToString()


def encoded(question: Document) -> tuple[bytes, int | None]:
    """Return the HTTP body of a question, and the length of its JSON if raw tensors follow."""
    if not any(isinstance(entry, dict) and "raw" in entry for entry in question.get("inputs") or ()):
        return json.dumps(question).encode(), None
    inputs, blobs = [], []
    for given in question["inputs"]:
        entry = dict(given)
        if "raw" in entry:
            blobs.append(entry.pop("raw"))
            entry["parameters"] = {**entry.get("parameters", {}), "binary_data_size": len(blobs[-1])}
        inputs.append(entry)
    text = json.dumps({**question, "inputs": inputs}).encode()
    return b"".join([text, *blobs]), len(text)


def message_of(model: str, question: Document, version: str = "") -> pb.ModelInferRequest:
    """Return the message that asks the same as a question in JSON."""
    message = pb.ModelInferRequest(model_name=model, model_version=version, id=question.get("id", ""))
    for key, value in question.get("parameters", {}).items():
        _set(message.parameters[key], value)
    for entry in question.get("inputs", ()):
        _add_input(message, entry)
    for entry in question.get("outputs", ()):
        output = message.outputs.add(name=entry["name"])
        for key, value in entry.get("parameters", {}).items():
            _set(output.parameters[key], value)
    return message


def answer_of(response: httpx2.Response) -> Answer:
    """Return an HTTP response as an answer, after checking that an error has the one form that errors have."""
    headers = dict(response.headers)
    if response.status_code != 200:
        return Answer(_family(response), error_text(response), headers=headers)
    length = headers.get(HEADER_LENGTH)
    split = len(response.content) if length is None else int(length)
    document = json.loads(response.content[:split])
    raw, offset, outputs = response.content[split:], 0, {}
    for entry in document["outputs"]:
        size = entry.get("parameters", {}).get("binary_data_size")
        data = None if size is None else raw[offset : offset + size]
        offset += size or 0
        outputs[entry["name"]] = _output(entry["datatype"], entry["shape"], data, entry.get("data"))
    assert offset == len(raw), "bytes that belong to no output"
    return Answer("OK", "", document.get("id", ""), document["model_name"], document["model_version"], outputs, headers)


def error_text(response: httpx2.Response) -> str:
    """Return what an HTTP error says; it must be the JSON object that every client reads, and discreet."""
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert set(document) == {"error", "code"}, document
    assert isinstance(document["error"], str)
    assert document["error"]
    return discreet(document["error"])


def refusal_of(error: grpc.RpcError) -> Answer:
    """Return a gRPC error as an answer."""
    trailing = {key: value for key, value in error.trailing_metadata() or () if isinstance(value, str)}
    return Answer(error.code().name, discreet(error.details() or ""), headers=trailing)


def discreet(text: str) -> str:
    """Return an error's text after checking that it tells nothing about the machine (P19) and is printable (B88)."""
    assert not (found := _INDISCREET.search(text)), f"the error text holds {found}: {text}"
    assert text.isprintable(), ascii(text)
    return text


def texts(*items: bytes) -> bytes:
    """Return the elements of a BYTES tensor in raw form."""
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def base64_of(data: bytes) -> dict[str, str]:
    """Return bytes as V1 writes them in JSON."""
    return {"b64": base64.b64encode(data).decode()}


def _family(response: httpx2.Response) -> str:
    family = FAMILY_OF.get(response.status_code, f"HTTP {response.status_code}")
    # gRPC tells these two apart, HTTP only by the code in the body.
    return "FAILED_PRECONDITION" if response.json().get("code") == "FAILED_PRECONDITION" else family


def _set(parameter: Any, value: object) -> None:
    kinds: dict[type, str] = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    setattr(parameter, kinds[type(value)], value)


def _add_input(message: pb.ModelInferRequest, entry: Document) -> None:
    tensor = message.inputs.add(name=entry["name"], datatype=entry["datatype"], shape=entry["shape"])
    for key, value in entry.get("parameters", {}).items():
        _set(tensor.parameters[key], value)
    if "raw" in entry:
        message.raw_input_contents.append(entry["raw"])
    elif "data" in entry:
        values = _flat(entry["data"])
        place = entry.get("contents") or CONTENTS.get(entry["datatype"], "fp32_contents")
        tensor.contents.SetInParent()
        if place == "bytes_contents":
            values = [value.encode() if isinstance(value, str) else value for value in values]
        getattr(tensor.contents, place).extend(values)


def _flat(data: list[Any]) -> list[Any]:
    return [leaf for item in data for leaf in (_flat(item) if isinstance(item, list) else [item])]


def _answer(reply: pb.ModelInferResponse, trailing: Mapping[str, str]) -> Answer:
    assert len(reply.outputs) == len(reply.raw_output_contents)
    assert not any(output.HasField("contents") for output in reply.outputs)
    outputs = {
        output.name: _output(output.datatype, list(output.shape), raw, None)
        for output, raw in zip(reply.outputs, reply.raw_output_contents, strict=True)
    }
    return Answer("OK", "", reply.id, reply.model_name, reply.model_version, outputs, trailing)


def _output(datatype: str, shape: list[int], raw: bytes | None, data: list[Any] | None) -> Output:
    if raw is None:
        values = [value.encode() if isinstance(value, str) else value for value in data or ()]
    elif datatype == "BYTES":
        values = _split(raw)
    else:
        values = np.frombuffer(raw, NUMPY[datatype]).tolist()
    assert len(values) == int(np.prod(shape, dtype=np.int64)), (shape, values)
    return Output(datatype, shape, values, raw)


def _split(raw: bytes) -> list[bytes]:
    items, offset = [], 0
    while offset < len(raw):
        (length,) = struct.unpack_from("<I", raw, offset)
        items.append(raw[offset + 4 : offset + 4 + length])
        offset += 4 + length
    return items
