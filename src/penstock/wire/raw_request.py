"""ModelInferRequest without protobuf's objects: the messages that fast clients send, read in one pass over their bytes.

That is: every tensor raw, no parameters, nothing unknown. All other messages, malformed ones first of all, are left to
protobuf, which stays the judge of what is valid (Protocol Buffers, "Encoding"). Hardened to untrusted callers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from google.protobuf.message import DecodeError

from penstock.domain.errors import InvalidInput
from penstock.domain.tensor import Datatype
from penstock.wire import inference as pb
from penstock.wire.message_weight import MOST_FIELDS
from penstock.wire.raw import ALIGNMENT, MAX_TENSORS, Buffer, check_shape, datatype_named
from penstock.wire.varint import MORE, varint

# Tags: the number of a field, and the wire type of what begins with its length.
_MODEL_NAME: Final = 1 << 3 | 2
_MODEL_VERSION: Final = 2 << 3 | 2
_ID: Final = 3 << 3 | 2
_INPUT: Final = 5 << 3 | 2
_OUTPUT: Final = 6 << 3 | 2
_RAW_INPUT: Final = 7 << 3 | 2
_LONGEST_LENGTH: Final = 5
"""Bytes of the varint in which a field's length stands."""
_LONGEST_REMEMBERED: Final = 256
"""Bytes of a field that is no tensor's data: what callers make us remember is bounded."""
_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class Declared:
    """What a request says of an input."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    """Up to 32 dimensions, none negative."""


class RawRequest:
    """What a message holds, in the spelling of its fields."""

    __slots__ = ("id", "inputs", "model_name", "model_version", "outputs", "raw_input_contents")

    def __init__(self) -> None:
        self.model_name = ""
        self.model_version = ""
        self.id = ""
        self.inputs: list[Declared] = []
        self.outputs: list[str] = []
        self.raw_input_contents: list[Buffer] = []
        """One for each input, of any length: views of the message where they lie as ONNX Runtime likes it, else copies."""


class _Head:
    """What stands before the tensors' data, which a caller repeats from message to message."""

    __slots__ = ("fields", "inputs", "model_name", "model_version", "outputs", "size")

    def __init__(self, request: RawRequest, size: int, fields: int) -> None:
        self.model_name = request.model_name
        self.model_version = request.model_version
        self.inputs = request.inputs.copy()
        self.outputs = request.outputs.copy()
        self.size = size
        """Its bytes."""
        self.fields = fields


_heads: Final[dict[bytes, _Head]] = {}
"""By their bytes."""
_sizes: Final[dict[tuple[bytes, int], int]] = {}
"""How long the last head was of messages with that first field, the model's name, and of that length: that of other rows is another."""


def read_raw_request(data: bytes) -> RawRequest | None:
    """Return what the message holds, or None where protobuf has to look at it."""
    request = RawRequest()
    try:
        _read(data, request)
    except (LookupError, UnicodeDecodeError, DecodeError, InvalidInput):
        return None
    raw, inputs, outputs = request.raw_input_contents, request.inputs, request.outputs
    return request if 0 < len(raw) == len(inputs) <= MAX_TENSORS and len(outputs) <= MAX_TENSORS else None


def _read(data: bytes, request: RawRequest) -> None:
    """Fill the request; raises `LookupError` for what is not ours to read, and where the message ends too early."""
    at, fields = _take_head(data, request)
    end, left = len(data), MOST_FIELDS - fields
    while at < end and left > 0:
        left -= 1
        tag, start, at = _field(data, at)
        if tag == _RAW_INPUT:
            # A bytes object's own data starts at a multiple of the alignment, so the offset tells.
            request.raw_input_contents.append(data[start:at] if start % ALIGNMENT else memoryview(data)[start:at])
        else:
            _take(request, tag, data, start, at)
    if at != end:
        raise IndexError(at)


def _take_head(data: bytes, request: RawRequest) -> tuple[int, int]:
    """Fill the request with what stands before the tensors' data; return its bytes and fields."""
    head = _heads.get(data[: _sizes.get((_name(data), len(data)), 0)])
    if head is None:
        return _read_head(data, request)
    request.model_name, request.model_version = head.model_name, head.model_version
    request.inputs, request.outputs = head.inputs.copy(), head.outputs.copy()
    return head.size, head.fields


def _read_head(data: bytes, request: RawRequest) -> tuple[int, int]:
    """Do the same for a head that is not known, and keep it unless it is long, or has an id: that stands in one message only."""
    at = fields = 0
    while at < len(data) and data[at] != _RAW_INPUT and fields < MOST_FIELDS:
        fields += 1
        tag, start, at = _field(data, at)
        _take(request, tag, data, start, at)
    if 0 < at <= _LONGEST_REMEMBERED and at < len(data) and not request.id:
        if len(_heads) >= _REMEMBERED or len(_sizes) >= _REMEMBERED:
            _heads.clear()
            _sizes.clear()
        _heads[data[:at]] = _Head(request, at, fields)
        _sizes[_name(data), len(data)] = at
    return at, fields


def _name(data: bytes) -> bytes:
    """Return the field that most messages begin with."""
    return data[: data[1] + 2] if len(data) > 1 else data


def _field(data: bytes, at: int) -> tuple[int, int, int]:
    """Return a field's tag, and where its contents begin and end."""
    tag, size, start = data[at], data[at + 1], at + 2
    if size >= MORE:
        size, start = varint(data, at + 1, _LONGEST_LENGTH)
    return tag, start, start + size


def _take(request: RawRequest, tag: int, data: bytes, start: int, end: int) -> None:
    if end - start > _LONGEST_REMEMBERED:
        raise LookupError(tag)
    _FIELDS[tag](request, data[start:end])


def _model_name(request: RawRequest, data: bytes) -> None:
    request.model_name = str(data, "utf-8")


def _model_version(request: RawRequest, data: bytes) -> None:
    request.model_version = str(data, "utf-8")


def _id(request: RawRequest, data: bytes) -> None:
    request.id = str(data, "utf-8")


def _input(request: RawRequest, data: bytes) -> None:
    request.inputs.append(_declared(data))


def _output(request: RawRequest, data: bytes) -> None:
    request.outputs.append(_asked(data))


_FIELDS: Final[dict[int, Callable[[RawRequest, bytes], None]]] = {
    _MODEL_NAME: _model_name,
    _MODEL_VERSION: _model_version,
    _ID: _id,
    _INPUT: _input,
    _OUTPUT: _output,
}
"""What takes the contents of a field, by its tag; where a field that counts once is there twice, the last one counts."""


@lru_cache(_REMEMBERED)
def _declared(data: bytes) -> Declared:
    tensor = pb.ModelInferRequest.InferInputTensor.FromString(data)
    if tensor.parameters or tensor.HasField("contents"):
        raise LookupError(tensor.name)
    return Declared(tensor.name, datatype_named(tensor.datatype, tensor.name), check_shape(tensor.shape[:], tensor.name))


@lru_cache(_REMEMBERED)
def _asked(data: bytes) -> str:
    output = pb.ModelInferRequest.InferRequestedOutputTensor.FromString(data)
    if output.parameters:
        raise LookupError(output.name)
    return str(output.name)
