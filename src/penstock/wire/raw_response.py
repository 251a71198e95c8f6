"""ModelInferResponse without protobuf's objects: what is the same in every answer is serialized once and remembered.

A message may be written in pieces: protobuf reads serialized messages that follow each other as one, merged.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from penstock.domain.tensor import DATATYPES, Tensor, element_count
from penstock.wire import inference as pb
from penstock.wire.raw import Buffer, raw_of

FINAL_RESPONSE: Final = "triton_final_response"
"""The parameter that says, of an answer in a stream, that no other follows to its request."""
# Tags: the number of a field, and the wire type of what begins with its length.
_ID: Final = 3 << 3 | 2
_RAW_OUTPUT: Final = 6 << 3 | 2
_INFER_RESPONSE: Final = 2 << 3 | 2
_REMEMBERED: Final = 1024
_FINAL: Final = pb.ModelInferResponse(parameters={FINAL_RESPONSE: pb.InferParameter(bool_param=True)}).SerializeToString()
_MORE: Final = 0x80
"""Set in every byte of a varint but the last."""


def raw_response(model: str, version: str, client_id: str, outputs: Sequence[Tensor]) -> bytes:
    """Return the answer of a version: one raw entry for each output, in their order."""
    if not _is_usual(client_id, outputs):
        return b"".join(_pieces(model, version, client_id, outputs))
    tensor, data = outputs[0], raw_of(outputs[0])
    return b"".join([_front(model, version, tensor.name, tensor.datatype.wire, tensor.array.shape), data])


def raw_stream_response(model: str, version: str, client_id: str, outputs: Sequence[Tensor]) -> bytes:
    """Return the same as a stream's only answer to its request."""
    if _is_usual(client_id, outputs):
        tensor, data = outputs[0], raw_of(outputs[0])
        return b"".join([_stream_front(model, version, tensor.name, tensor.datatype.wire, tensor.array.shape), data, _FINAL])
    pieces = [*_pieces(model, version, client_id, outputs), _FINAL]
    size = 0
    for piece in pieces:
        size += len(piece)
    return b"".join([_head(_INFER_RESPONSE, size), *pieces])


def _is_usual(client_id: str, outputs: Sequence[Tensor]) -> bool:
    """Tell whether everything before an answer's data is remembered as one. Texts differ in their length from answer to answer."""
    return len(outputs) == 1 and not client_id and outputs[0].datatype.itemsize > 0


def _pieces(model: str, version: str, client_id: str, outputs: Sequence[Tensor]) -> list[Buffer]:
    pieces: list[Buffer] = [_of_version(model, version)]
    if client_id:
        identifier = client_id.encode()
        pieces += _head(_ID, len(identifier)), identifier
    pieces += [_declaration(tensor.name, tensor.datatype.wire, tensor.array.shape) for tensor in outputs]
    for tensor in outputs:
        data = raw_of(tensor)
        pieces += _head(_RAW_OUTPUT, len(data)), data
    return pieces


@lru_cache(_REMEMBERED)
def _stream_front(model: str, version: str, name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    front = _front(model, version, name, datatype, shape)
    return _head(_INFER_RESPONSE, len(front) + _size(datatype, shape) + len(_FINAL)) + front


@lru_cache(_REMEMBERED)
def _front(model: str, version: str, name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    return _of_version(model, version) + _declaration(name, datatype, shape) + _head(_RAW_OUTPUT, _size(datatype, shape))


def _size(datatype: str, shape: tuple[int, ...]) -> int:
    return element_count(shape) * DATATYPES[datatype].itemsize


@lru_cache(100)  # versions come and go
def _of_version(model: str, version: str) -> bytes:
    return pb.ModelInferResponse(model_name=model, model_version=version).SerializeToString()


@lru_cache(_REMEMBERED)
def _declaration(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    output = pb.ModelInferResponse.InferOutputTensor(name=name, datatype=datatype, shape=shape)
    return pb.ModelInferResponse(outputs=[output]).SerializeToString()


@lru_cache(_REMEMBERED)
def _head(tag: int, size: int) -> bytes:
    """Return what stands before the contents of a field: its tag and, as a varint, its length."""
    head = bytearray([tag])
    while size >= _MORE:
        head.append(size % _MORE | _MORE)
        size //= _MORE
    return bytes([*head, size])
