"""Tensors as most callers write them in JSON, flat lists of numbers, read in one go."""

import struct
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from penstock.domain.errors import InvalidInput
from penstock.domain.tensor import DATATYPES, Datatype, Tensor, element_count
from penstock.wire.raw import MAX_TENSORS, check_shape

PACKED: Final = {
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "FP32": "f", "FP64": "d",
}  # fmt: skip
"""The letters by which `struct` knows the datatypes whose types and ranges it checks."""
_FIELDS: Final = 4
"""Of a plain tensor: name, datatype, shape, data."""


class _Packing(NamedTuple):
    """How the values of one datatype and shape become bytes."""

    datatype: Datatype
    shape: tuple[int, ...]
    packer: struct.Struct


def plain_inputs(document: Any, text: bytes) -> list[Tensor] | None:  # noqa: ANN401 - whatever JSON holds
    """Return the inputs of a document without any other field than its id; None for one that needs a closer look.

    What is returned is just what reading step by step would return: `struct` checks types and ranges while it packs, in a third of
    the time that numpy takes for a list. Only booleans it takes for numbers, so a text that may hold one is not plain.
    """
    if type(document) is not dict or b"true" in text or b"false" in text:
        return None
    inputs = document.get("inputs")
    if len(document) > 1 and (len(document) > 2 or type(document.get("id")) is not str):  # noqa: PLR2004 - the inputs and the id
        return None
    if type(inputs) is not list or not 0 < len(inputs) <= MAX_TENSORS:
        return None
    try:
        return [_plain(entry) for entry in inputs]
    except (InvalidInput, KeyError, OverflowError, TypeError, ValueError, struct.error):
        return None


def _plain(entry: Any) -> Tensor:  # noqa: ANN401
    name, shape, data = entry["name"], entry["shape"], entry["data"]
    if len(entry) != _FIELDS or type(name) is not str or not name or type(shape) is not list or type(data) is not list or not data:
        raise ValueError
    datatype, dimensions, packer = _packing(entry["datatype"], *shape)
    return Tensor(name, datatype, np.ndarray(dimensions, datatype.dtype, packer.pack(*data)))


@lru_cache(1024, typed=True)  # typed, or a shape [true, 2] would be found under [1, 2]
def _packing(wire: str, *shape: int) -> _Packing:
    letter = PACKED[wire]
    return _Packing(DATATYPES[wire], check_shape(shape, ""), struct.Struct(f"<{element_count(shape)}{letter}"))
