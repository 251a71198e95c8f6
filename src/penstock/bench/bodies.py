"""Tensors as requests on the wire, complete to the last byte before the first is sent."""

from collections.abc import Sequence
from typing import Final

import orjson

from penstock.bench.plan import CannotMeasure, Protocol, Target
from penstock.domain.tensor import Tensor
from penstock.wire import inference as pb
from penstock.wire.raw import raw_of

INFER: Final = "/inference.GRPCInferenceService/ModelInfer"
STREAM: Final = "/inference.GRPCInferenceService/ModelStreamInfer"
_US_PER_MS: Final = 1000


def body_of(target: Target, tensors: Sequence[Tensor]) -> bytes:
    """Return the request that asks the target for these tensors: an HTTP message with its head, or a gRPC message."""
    match target.protocol:
        case Protocol.HTTP_JSON:
            return http_message(target, orjson.dumps({"inputs": [_json_input(tensor) for tensor in tensors]}))
        case Protocol.HTTP_BINARY:
            return _binary_message(target, tensors)
        case Protocol.GRPC | Protocol.GRPC_STREAM:
            return _infer_request(target, tensors).SerializeToString()


def http_message(target: Target, content: bytes, *headers: tuple[str, str]) -> bytes:
    """Return a POST of the content to the model's infer route."""
    fields = [("Content-Length", str(len(content))), *headers, *target.headers]
    if target.deadline_ms is not None:
        fields.append(("penstock-deadline-ms", str(target.deadline_ms)))
    given = {name.lower() for name, _ in fields}
    usual = ("Host", target.address), ("Content-Type", "application/json")
    fields += [field for field in usual if field[0].lower() not in given]
    lines = [f"POST {model_path(target)}/infer HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode() + content


def model_path(target: Target) -> str:
    """Return the path of the model, or of the version of it that is asked."""
    return f"/v2/models/{target.model}" + (f"/versions/{target.version}" if target.version else "")


def _json_input(tensor: Tensor) -> dict[str, object]:
    if tensor.datatype.wire == "BF16":
        raise CannotMeasure(f"input {tensor.name!r} is BF16, which JSON cannot carry; use --protocol http-binary or grpc")
    return {
        "name": tensor.name,
        "shape": list(tensor.array.shape),
        "datatype": tensor.datatype.wire,
        "data": tensor.array.ravel().tolist(),
    }


def _binary_message(target: Target, tensors: Sequence[Tensor]) -> bytes:
    raw = [bytes(raw_of(tensor)) for tensor in tensors]
    inputs = [
        {
            "name": tensor.name,
            "shape": list(tensor.array.shape),
            "datatype": tensor.datatype.wire,
            "parameters": {"binary_data_size": len(data)},
        }
        for tensor, data in zip(tensors, raw, strict=True)
    ]
    head = orjson.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}})
    length = ("Inference-Header-Content-Length", str(len(head)))
    return http_message(target, b"".join([head, *raw]), length, ("Content-Type", "application/octet-stream"))


def _infer_request(target: Target, tensors: Sequence[Tensor]) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name=target.model, model_version=target.version)
    for tensor in tensors:
        message.inputs.add(name=tensor.name, datatype=tensor.datatype.wire, shape=tensor.array.shape)
        message.raw_input_contents.append(bytes(raw_of(tensor)))
    if target.deadline_ms is not None and target.protocol is Protocol.GRPC_STREAM:
        # A call's own deadline would end the stream, not the one request.
        message.parameters["timeout"].int64_param = target.deadline_ms * _US_PER_MS
    return message
