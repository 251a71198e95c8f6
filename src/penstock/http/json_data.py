"""The `data` of a JSON tensor as an array: exact types and ranges, no cast that changes a value."""

from itertools import chain
from typing import Any, Final

import numpy as np

from penstock.domain.errors import InvalidInput
from penstock.domain.names import shown
from penstock.domain.tensor import DATATYPES, Array, Datatype, element_count
from penstock.http.json_text import MAX_DEPTH

_ACCEPTED: Final[dict[str, frozenset[type]]] = {
    "b": frozenset({bool}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "f": frozenset({int, float}),
    "O": frozenset({str}),
}
_EXPECTED: Final = {"b": "true or false", "i": "integers", "u": "integers", "f": "numbers", "O": "strings"}
RAW_ONLY: Final = frozenset({"FP16", "BF16"})
"""Datatypes that JSON does not carry, either way."""


def array_of_json(tensor: str, datatype: Datatype, shape: tuple[int, ...], data: object) -> Array:
    """Return the array; any nesting is read row-major, only the number of values has to fit the shape.

    Raises `InvalidInput` for other types than the datatype's (no text for numbers, no 1.5 or 1.0 for integers, no booleans for
    numbers), values out of its range, and a wrong number of values. Integers above 2^24 are rounded to nearest in FP32.
    """
    if datatype.wire in RAW_ONLY:
        raise InvalidInput(f"the input {shown(tensor)} is {datatype.wire}, which JSON does not carry; send it in binary form")
    values = _flat(tensor, data)
    if len(values) != element_count(shape):
        raise InvalidInput(
            f"shape does not match true shape of 'data' field of input {shown(tensor)}: {list(shape)} needs {element_count(shape)} "
            f"values, got {len(values)}"
        )
    _check_types(tensor, datatype, values)
    return _array(tensor, datatype, values).reshape(shape)


def _flat(tensor: str, data: object) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidInput(f"the data of input {shown(tensor)} must be a list, not {shown(repr(data))}")
    values = data
    for _ in range(MAX_DEPTH):
        if list not in set(map(type, values)):
            return values
        values = list(chain.from_iterable(item if type(item) is list and item else [item] for item in values))
        if [] in values:
            raise InvalidInput(f"the data of input {shown(tensor)} holds an empty list among its values")
    raise InvalidInput(f"the data of input {shown(tensor)} is nested deeper than {MAX_DEPTH} levels")


def _check_types(tensor: str, datatype: Datatype, values: list[Any]) -> None:
    kind = datatype.dtype.kind
    if not _ACCEPTED[kind].issuperset(map(type, values)):
        wrong = next(value for value in values if type(value) not in _ACCEPTED[kind])
        raise InvalidInput(f"the data of input {shown(tensor)} holds {shown(repr(wrong))}; {datatype.wire} takes {_EXPECTED[kind]}")


def _array(tensor: str, datatype: Datatype, values: list[Any]) -> Array:
    if datatype is DATATYPES["BYTES"]:
        return _texts(tensor, values)
    try:
        wide = np.array(values, dtype=np.float64 if datatype.dtype.kind == "f" else datatype.dtype)
    except OverflowError as error:
        raise InvalidInput(f"the data of input {shown(tensor)} holds an integer out of the range of {datatype.wire}") from error
    return _narrow(tensor, datatype, wide) if datatype.wire == "FP32" else wide


def _narrow(tensor: str, datatype: Datatype, wide: Array) -> Array:
    with np.errstate(over="ignore"):
        narrow = wide.astype(datatype.dtype)
    if not np.array_equal(np.isinf(narrow), np.isinf(wide)):
        raise InvalidInput(f"the data of input {shown(tensor)} holds a number out of the range of {datatype.wire}")
    return narrow


def _texts(tensor: str, values: list[Any]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    try:
        "".join(values).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the data of input {shown(tensor)} holds a lone surrogate, which is no text") from error
    return array
