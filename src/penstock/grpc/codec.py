"""ModelInferRequest to `InferenceRequest`, `InferenceResponse` to ModelInferResponse.

Open Inference Protocol, gRPC. Tensors come raw or typed and always leave raw: many clients read nothing else. Raw ones
pass protobuf by, in `wire/raw_request.py` and `wire/raw_response.py`. Hardened to untrusted callers.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Sized
from typing import Any, Final

import numpy as np

from penstock.domain.errors import InvalidInput, TooLarge
from penstock.domain.names import check_request_id, shown
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Array, Datatype, Tensor, element_count
from penstock.grpc.call import parse
from penstock.wire import inference as pb
from penstock.wire.classification import classify
from penstock.wire.message_weight import check_message
from penstock.wire.parameters import Value, apply_parameters, classes_asked, refuse_shared_memory
from penstock.wire.raw import MAX_TENSORS, Buffer, array_of, check_shape, datatype_named, text_of
from penstock.wire.raw_request import Declared, RawRequest, read_raw_request
from penstock.wire.raw_response import raw_response, raw_stream_response

Message = pb.ModelInferRequest | RawRequest
"""A request as protobuf's object, or as what was read past it."""
Classes = Mapping[str, int]
"""How many classes are asked of which outputs, by the classification extension."""

_FIELDS: Final = {
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
"""Where typed contents of a datatype stand; FP16 and BF16 have no such place."""
_FIELD_DTYPES: Final = {"int_contents": np.dtype(np.int32), "uint_contents": np.dtype(np.uint32)}
_HTTP_ONLY: Final = "binary_data"
_LARGEST_BYTES: Final = (1 << 31) - (1 << 20)
"""Of tensors in a message: protobuf's limit, less something for names and shapes."""


def read(data: bytes, limit: int) -> Message:
    """Return the message that the bytes hold, or raise `InvalidInput`, or `TooLarge` for what would take more than the limit once read."""
    raw = read_raw_request(data)
    if raw is not None:
        return raw
    check_message(data, limit)
    return parse(pb.ModelInferRequest, data)


def decode_head(message: Message, request: InferenceRequest) -> None:
    """Fill in which model is asked, and the message's id, or raise `InvalidInput` if that cannot be an id."""
    request.model = message.model_name
    request.version = message.model_version
    if message.id:
        request.client_id = check_request_id(message.id, "the request's id")


def decode_body(message: Message, request: InferenceRequest) -> Classes:
    """Fill in everything else; return the classes that are asked.

    Raises `InvalidInput` or `Unimplemented`. Arrays of raw contents are views of them.
    """
    if isinstance(message, RawRequest):
        return _decode_raw(message, request)
    if message.parameters:
        apply_parameters(_parameters(message.parameters), request)
    request.inputs = _inputs(message)
    if not message.outputs:
        return {}
    request.outputs = tuple(output.name for output in message.outputs)
    return _classes(message.outputs)


def encode(response: InferenceResponse, outputs: Sequence[Tensor]) -> bytes:
    """Return the answer as a ModelInferResponse; raises `TooLarge` for what no message of protobuf can hold."""
    _check_size(outputs)
    return raw_response(response.version.name, response.version.version, response.client_id, outputs)


def encode_in_stream(response: InferenceResponse, outputs: Sequence[Tensor]) -> bytes:
    """Return the same as a ModelStreamInferResponse, the last one to its request."""
    _check_size(outputs)
    return raw_stream_response(response.version.name, response.version.version, response.client_id, outputs)


def classified(outputs: Iterable[Tensor], classes: Classes, schema: ModelSchema) -> list[Tensor]:
    """Return the outputs, those of which classes are asked as text."""
    return [_classified(tensor, classes.get(tensor.name, 0), schema) for tensor in outputs]


def _classified(tensor: Tensor, k: int, schema: ModelSchema) -> Tensor:
    if not k:
        return tensor
    return classify(tensor, k, schema.output_named[tensor.name].labels, batched=schema.batched)


def _decode_raw(message: RawRequest, request: InferenceRequest) -> Classes:
    request.inputs = [_tensor(given, message.raw_input_contents[place]) for place, given in enumerate(message.inputs)]
    request.outputs = tuple(message.outputs)
    return {}


def _tensor(given: Declared, data: Buffer) -> Tensor:
    return Tensor(given.name, given.datatype, array_of(given.name, given.datatype, given.shape, data))


def _check_size(outputs: Sequence[Tensor]) -> None:
    size = sum(tensor.array.nbytes for tensor in outputs)
    if size > _LARGEST_BYTES:
        raise TooLarge(f"the answer has {size} bytes, a gRPC message holds less than 2 GiB; ask for fewer rows or outputs")


def _parameters(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Value]:
    """Return the parameters as plain values, without those that mean something over HTTP only."""
    return {key: _value(key, given) for key, given in parameters.items() if not key.startswith(_HTTP_ONLY)}


def _value(key: str, parameter: pb.InferParameter) -> Value:
    kind = parameter.WhichOneof("parameter_choice")
    if kind is None:
        raise InvalidInput(f"the parameter {shown(key)} has no value; set one of its members")
    if kind == "uint64_param" and key != "priority":
        raise InvalidInput(f"invalid value type for the parameter {shown(key)}: uint64_param is for 'priority' alone; use int64_param")
    value: Value = getattr(parameter, kind)
    return value


def _classes(outputs: Collection[pb.ModelInferRequest.InferRequestedOutputTensor]) -> Classes:
    _check_count(outputs, "outputs")
    for output in outputs:
        refuse_shared_memory(output.parameters, output.name)
    asked = {output.name: classes_asked(_parameters(output.parameters), output.name) for output in outputs}
    return {name: k for name, k in asked.items() if k}


def _inputs(message: pb.ModelInferRequest) -> list[Tensor]:
    inputs, raw = message.inputs, message.raw_input_contents
    _check_count(inputs, "inputs")
    if not raw:
        return [_typed(tensor) for tensor in inputs]
    if len(raw) < len(inputs):
        raise _unable_to_find(inputs[len(raw)])
    if len(raw) > len(inputs):
        raise InvalidInput(f"raw_input_contents has {len(raw)} entries for {len(inputs)} inputs; send one for each input")
    return [_raw(tensor, data) for tensor, data in zip(inputs, raw, strict=True)]


def _check_count(tensors: Sized, what: str) -> None:
    if len(tensors) > MAX_TENSORS:
        raise InvalidInput(f"the request has {len(tensors)} {what}; at most {MAX_TENSORS} are allowed")


def _raw(tensor: pb.ModelInferRequest.InferInputTensor, data: bytes) -> Tensor:
    if tensor.HasField("contents"):
        raise InvalidInput(f"contents of input {shown(tensor.name)} must not be specified when using raw_input_contents")
    name = tensor.name
    datatype, shape = _declared(tensor, name)
    return Tensor(name, datatype, array_of(name, datatype, shape, data))


def _typed(tensor: pb.ModelInferRequest.InferInputTensor) -> Tensor:
    datatype, shape = _declared(tensor, tensor.name)
    if not tensor.HasField("contents"):
        raise _unable_to_find(tensor)
    values = _typed_values(tensor, datatype)
    if len(values) != element_count(shape):
        raise InvalidInput(
            f"byte size mismatch for input {shown(tensor.name)}: expected {element_count(shape)} elements for shape "
            f"{list(shape)} of {datatype.wire}, got {len(values)}"
        )
    return Tensor(tensor.name, datatype, _typed_array(tensor.name, datatype, values).reshape(shape))


def _declared(tensor: pb.ModelInferRequest.InferInputTensor, name: str) -> tuple[Datatype, tuple[int, ...]]:
    if tensor.parameters:
        refuse_shared_memory(tensor.parameters, name)
    return datatype_named(tensor.datatype, name), check_shape(tensor.shape[:], name)


def _typed_values(tensor: pb.ModelInferRequest.InferInputTensor, datatype: Datatype) -> Sequence[Any]:
    """Return the values of the one field that the datatype has, after making sure that no other is filled."""
    field = _FIELDS.get(datatype.wire)
    if field is None:
        raise InvalidInput(f"the input {shown(tensor.name)} is {datatype.wire}, which has no contents field; use raw_input_contents")
    filled = [descriptor.name for descriptor, _ in tensor.contents.ListFields()]
    if len(filled) > 1:
        raise InvalidInput(f"contents of input {shown(tensor.name)} already supplied in {filled[0]}; {filled[1]} must be empty")
    if filled and filled[0] != field:
        raise InvalidInput(
            f"unexpected explicit tensor data for input {shown(tensor.name)}: {filled[0]} is filled, {datatype.wire} belongs in {field}"
        )
    values: Sequence[Any] = getattr(tensor.contents, field)
    return values


def _typed_array(name: str, datatype: Datatype, values: Sequence[Any]) -> Array:
    if datatype.wire == "BYTES":
        return np.array([text_of(name, value) for value in values], dtype=object)
    # protobuf's 7.x containers are read without a loop; casting in the same call would wrap what does not fit.
    array = np.array(values, dtype=_FIELD_DTYPES.get(_FIELDS[datatype.wire], datatype.dtype))
    return array if array.dtype == datatype.dtype else _narrowed(name, datatype, array)


def _narrowed(name: str, datatype: Datatype, array: Array) -> Array:
    limits = np.iinfo(datatype.dtype)
    outside = array[(array < limits.min) | (array > limits.max)]
    if outside.size:
        raise InvalidInput(f"the input {shown(name)} is {datatype.wire} and holds {outside[0]}; use {limits.min} to {limits.max}")
    return array.astype(datatype.dtype)


def _unable_to_find(tensor: pb.ModelInferRequest.InferInputTensor) -> InvalidInput:
    return InvalidInput(f"unable to find data for input tensor {shown(tensor.name)}; send contents, or raw_input_contents for all")
