"""Tensors as raw bytes: little-endian, row-major, shared by HTTP's binary extension and gRPC's raw contents.

Open Inference Protocol, "Binary Tensor Data Extension". Hardened to untrusted callers.
"""

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np

from penstock.domain.errors import InvalidInput
from penstock.domain.names import shown
from penstock.domain.schema import MAX_RANK
from penstock.domain.tensor import DATATYPES, Array, Datatype, Tensor, element_count

Buffer = bytes | bytearray | memoryview
MAX_TENSORS: Final = 64
"""The most inputs, and the most outputs, of one request."""
ALIGNMENT: Final = 16
"""ONNX Runtime rounds otherwise on data that starts elsewhere than at a multiple of this, as every array of numpy does."""
_MAX_ELEMENTS: Final = 1 << 40
_MOST_EMPTY: Final = 1 << 20
"""Of a tensor without elements, the product of its other dimensions: a model may make an output of that size, of no byte at all."""
_SMALL: Final = 16 * 1024
"""Up to here a copy costs less than a view."""
_LENGTH: Final = struct.Struct("<I")
_BYTES: Final = DATATYPES["BYTES"]
_BOOL: Final = DATATYPES["BOOL"]


def datatype_named(text: object, tensor: str) -> Datatype:
    """Return the datatype of that name, or raise `InvalidInput`; names are case-sensitive."""
    found = DATATYPES.get(text) if isinstance(text, str) else None
    if found is None:
        raise InvalidInput(f"invalid datatype {shown(str(text))} of {shown(tensor)}; use one of {', '.join(DATATYPES)}")
    return found


def check_shape(shape: object, tensor: str) -> tuple[int, ...]:
    """Return the shape of a tensor in a request, or raise `InvalidInput`: non-negative integers, at most 32 of them."""
    if not isinstance(shape, (list, tuple)):
        raise InvalidInput(f"the shape of {shown(tensor)} must be a list of integers, not {shown(repr(shape))}")
    if len(shape) > MAX_RANK:
        raise InvalidInput(f"the shape of {shown(tensor)} has {len(shape)} dimensions; at most {MAX_RANK} are allowed")
    count = 1
    for dim in shape:
        if type(dim) is not int or dim < 0:
            raise InvalidInput(
                f"the shape of {shown(tensor)} holds {shown(repr(dim))}; dimensions should be specified as integers of 0 or more"
            )
        count *= dim or 1  # numpy multiplies the others, also of a tensor without elements
    if count > (_MOST_EMPTY if 0 in shape else _MAX_ELEMENTS):
        raise InvalidInput(f"the shape {list(shape)} of {shown(tensor)} causes total element count to exceed maximum size")
    return tuple(shape)


def array_of(tensor: str, datatype: Datatype, shape: tuple[int, ...], data: Buffer) -> Array:
    """Return the array that the bytes hold, as a view of them but for BYTES.

    The array does not lock the buffer, which must never become shorter nor be closed. Raises `InvalidInput` unless the bytes are exactly
    what shape and datatype ask for.
    """
    if datatype is _BYTES:
        return _text_array(tensor, shape, memoryview(data))
    expected = element_count(shape) * datatype.itemsize
    if len(data) != expected:
        raise InvalidInput(
            f"byte size mismatch for input {shown(tensor)}: expected {expected} bytes for shape {list(shape)} of {datatype.wire}, "
            f"got {len(data)}"
        )
    array = np.ndarray(shape, datatype.dtype, data)  # half the time of `frombuffer` and `reshape`
    if datatype is _BOOL and array.size and array.view(np.uint8).max() > 1:
        raise InvalidInput(f"the input {shown(tensor)} is BOOL and holds a byte other than 0 and 1")
    return array


def aligned(array: Array) -> Array:
    """Return the array, or a copy that starts where ONNX Runtime likes it: where a tensor lies must not change an answer."""
    if array.dtype.hasobject or not array.__array_interface__["data"][0] % ALIGNMENT:
        return array
    return array.copy()


def raw_of(tensor: Tensor) -> Buffer:
    """Return the tensor's bytes; of a large array that is contiguous without a copy."""
    array = tensor.array
    if tensor.datatype is _BYTES:
        return b"".join(_framed(item) for item in array.reshape(-1))
    if array.nbytes <= _SMALL:
        return array.tobytes()
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _framed(item: object) -> bytes:
    data = str(item).encode()
    return _LENGTH.pack(len(data)) + data


def _text_array(tensor: str, shape: tuple[int, ...], data: memoryview) -> Array:
    count = element_count(shape)
    # Each element takes at least its length prefix: so a huge shape is refused before anything is allocated.
    if count * _LENGTH.size > len(data):
        raise InvalidInput(f"expected {count} string elements for input {shown(tensor)}, but its {len(data)} bytes cannot hold as many")
    array = np.empty(count, dtype=object)
    filled = 0
    for text in _texts(tensor, data):
        if filled == count:
            raise InvalidInput(f"unexpected number of string elements for input {shown(tensor)}: more than {count}")
        array[filled] = text
        filled += 1
    if filled != count:
        raise InvalidInput(f"expected {count} string elements for input {shown(tensor)}, got {filled}")
    return array.reshape(shape)


def _texts(tensor: str, data: memoryview) -> Iterator[str]:
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _LENGTH.size:
            raise InvalidInput(f"incomplete string length indicator in input {shown(tensor)} at byte {offset}")
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += _LENGTH.size
        if length > end - offset:
            raise InvalidInput(
                f"incomplete string data in input {shown(tensor)}: {length} bytes announced at byte {offset - 4}, {end - offset} left"
            )
        yield text_of(tensor, data[offset : offset + length])
        offset += length


def text_of(tensor: str, data: Buffer) -> str:
    """Return one element of a BYTES tensor as the text that ONNX knows, or raise `InvalidInput` if it is not UTF-8."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"the input {shown(tensor)} holds bytes that are not UTF-8; ONNX strings are text: send other bytes as UINT8"
        ) from error
