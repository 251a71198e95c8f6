"""The `data` of a JSON tensor as an array: exact types and ranges, no cast that changes a value."""

import struct
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import numpy as np

from penstock.domain.errors import InvalidInput
from penstock.domain.names import shown
from penstock.domain.tensor import DATATYPES, RAW_ONLY, Array, Datatype, element_count
from penstock.http.json_text import MAX_DEPTH
from penstock.http.long_list import LongList
from penstock.http.plain_form import PACKED

_ACCEPTED: Final[dict[str, frozenset[type]]] = {
    "b": frozenset({bool}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "f": frozenset({int, float}),
    "O": frozenset({str}),
}
_EXPECTED: Final = {"b": "true or false", "i": "integers", "u": "integers", "f": "numbers", "O": "strings"}
_FEW: Final = 1024


def array_of_json(tensor: str, datatype: Datatype, shape: tuple[int, ...], data: object, side: str = "input") -> Array:
    """Return the array; any nesting is read row-major, only the number of values has to fit the shape.

    Raises `InvalidInput` for other types than the datatype's (no text for numbers, no 1.5 or 1.0 for integers, no booleans for
    numbers), values out of its range, and a wrong number of values; messages say what the tensor is, an input or an output. Integers
    above 2^24 are rounded to nearest in FP32.
    """
    if datatype.wire in RAW_ONLY:
        raise InvalidInput(f"the {side} {shown(tensor)} is {datatype.wire}, which JSON does not carry; send it in binary form")
    if type(data) is LongList:
        return _array_of_long(tensor, datatype, shape, data, side)
    packed = _packed(datatype, shape, data)
    if packed is not None:
        return packed
    what = f"{side} {shown(tensor)}"
    values = _flat(what, data)
    _check_count(what, shape, len(values))
    _check_types(what, datatype, values)
    return _array(what, datatype, values).reshape(shape)


def _array_of_long(tensor: str, datatype: Datatype, shape: tuple[int, ...], data: LongList, side: str) -> Array:
    """Fill an array piece by piece, once it is clear that the list would fill it."""
    what = f"{side} {shown(tensor)}"
    _check_count(what, shape, data.size)
    if data.size * datatype.dtype.itemsize > data.room:
        _check_count(what, shape, sum(len(_values(tensor, datatype, piece, side)) for piece in data.pieces()))
    array, filled = np.empty(data.size, datatype.dtype), 0
    for piece in data.pieces():
        values = _values(tensor, datatype, piece, side)
        array[filled : filled + len(values)] = values
        filled += len(values)
    _check_count(what, shape, filled)
    return array.reshape(shape)


def _values(tensor: str, datatype: Datatype, piece: list[Any], side: str) -> Array:
    """Return the values of a piece, flat."""
    packed = _packed(datatype, (len(piece),), piece)
    if packed is not None:
        return packed
    flat = _flat(f"{side} {shown(tensor)}", piece)
    return array_of_json(tensor, datatype, (len(flat),), flat, side)


def _check_count(what: str, shape: tuple[int, ...], count: int) -> None:
    if count != element_count(shape):
        raise InvalidInput(
            f"shape does not match true shape of 'data' field of {what}: {list(shape)} needs {element_count(shape)} values, got {count}"
        )


def _packed(datatype: Datatype, shape: tuple[int, ...], data: object) -> Array | None:
    """Return the array of a flat list that holds just what it should; None for all else, which is looked at more closely.

    `struct` checks types and ranges while it packs, in a third of the time that numpy takes for a list; only booleans it takes
    for numbers.
    """
    if type(data) is not list or not data or len(data) != element_count(shape):
        return None
    packer = _packer(datatype.wire, len(data))
    if packer is None:
        return None
    try:
        array = np.ndarray(shape, datatype.dtype, packer.pack(*data))
    except (struct.error, OverflowError):
        return None
    return None if _holds_boolean(data, array) else array


@lru_cache(256)
def _packer(wire: str, size: int) -> struct.Struct | None:
    return struct.Struct(f"<{size}{PACKED[wire]}") if wire in PACKED else None


def _holds_boolean(values: list[Any], array: Array) -> bool:
    if len(values) < _FEW:
        return bool in set(map(type, values))
    flat = array.reshape(-1)
    maybe = np.flatnonzero((flat == 0) | (flat == 1)).tolist()
    return any(type(values[index]) is bool for index in maybe)


def _flat(what: str, data: object) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidInput(f"the data of {what} must be a list, not {shown(repr(data))}")
    values = data
    for _ in range(MAX_DEPTH):
        if list not in set(map(type, values)):
            return values
        values = list(chain.from_iterable(item if type(item) is list and item else [item] for item in values))
        if [] in values:
            raise InvalidInput(f"the data of {what} holds an empty list among its values")
    raise InvalidInput(f"the data of {what} is nested deeper than {MAX_DEPTH} levels")


def _check_types(what: str, datatype: Datatype, values: list[Any]) -> None:
    kind = datatype.dtype.kind
    if not _ACCEPTED[kind].issuperset(map(type, values)):
        wrong = next(value for value in values if type(value) not in _ACCEPTED[kind])
        raise InvalidInput(f"the data of {what} holds {shown(repr(wrong))}; {datatype.wire} takes {_EXPECTED[kind]}")


def _array(what: str, datatype: Datatype, values: list[Any]) -> Array:
    if datatype is DATATYPES["BYTES"]:
        return _texts(what, values)
    try:
        wide = np.array(values, dtype=np.float64 if datatype.dtype.kind == "f" else datatype.dtype)
    except OverflowError as error:
        raise InvalidInput(f"the data of {what} holds an integer out of the range of {datatype.wire}") from error
    return _narrow(what, datatype, wide) if datatype.wire == "FP32" else wide


def _narrow(what: str, datatype: Datatype, wide: Array) -> Array:
    with np.errstate(over="ignore"):
        narrow = wide.astype(datatype.dtype)
    if not np.array_equal(np.isinf(narrow), np.isinf(wide)):
        raise InvalidInput(f"the data of {what} holds a number out of the range of {datatype.wire}")
    return narrow


def _texts(what: str, values: list[Any]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    try:
        "".join(values).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the data of {what} holds a lone surrogate, which is no text") from error
    return array
