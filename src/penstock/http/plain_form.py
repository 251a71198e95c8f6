"""Tensors as most callers write them in JSON, flat lists of numbers, read in one go.

Clients repeat themselves: all but the numbers of a body is the same from one request to the next. What stands before and behind the
numbers of the first such body is remembered, and of the next ones only the numbers are read.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import orjson

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
_U: Final = ord("u")
_S: Final = ord("s")
"""Letters as numbers: to look for those takes a twentieth of the time."""
_MOST_FRAMES: Final = 1024
_LONGEST_FRAME: Final = 1024


@dataclass(frozen=True, slots=True)
class _Packing:
    """How the values of one datatype and shape become bytes."""

    datatype: Datatype
    shape: tuple[int, ...]
    packer: struct.Struct


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands around the numbers of a body with one input and nothing else."""

    rest: bytes
    """What follows the numbers, from their closing bracket on."""
    name: str
    packing: _Packing


_frames: Final[dict[bytes, _Frame]] = {}
"""By what stands before the numbers, up to their opening bracket."""


def framed_input(text: bytes) -> Tensor | None:
    """Return the only input of a body whose frame is remembered; None for a body that has to be read as a whole.

    A list of numbers stands where another one stood in a body that was read as a whole, so the body means the same but for them.
    """
    start = _start_of_numbers(text)
    frame = _frames.get(text[:start])
    if frame is None:
        return None
    stop = len(text) - len(frame.rest)
    numbers = text[start : stop + 1]
    # `struct` takes true and false for numbers; only they have these letters.
    if text[stop:] != frame.rest or _U in numbers or _S in numbers:
        return None
    try:
        return _packed(frame.name, frame.packing, orjson.loads(numbers))
    except (OverflowError, TypeError, ValueError, struct.error):
        return None


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
        tensors = [_plain(entry) for entry in inputs]
    except (InvalidInput, KeyError, OverflowError, TypeError, ValueError, struct.error):
        return None
    if len(document) == len(tensors) == 1:
        _remember(text, tensors[0])
    return tensors


def _plain(entry: Any) -> Tensor:  # noqa: ANN401
    name, shape, data = entry["name"], entry["shape"], entry["data"]
    if len(entry) != _FIELDS or type(name) is not str or not name or type(shape) is not list or type(data) is not list or not data:
        raise ValueError
    return _packed(name, _packing(entry["datatype"], *shape), data)


def _packed(name: str, packing: _Packing, values: list[Any]) -> Tensor:
    data = packing.packer.pack(*values)
    return Tensor(name, packing.datatype, np.ndarray(packing.shape, packing.datatype.dtype, data))


def _start_of_numbers(text: bytes) -> int:
    """Return where the list behind the first `"data"` begins, or any place that is too far for a frame."""
    # A third of what `find` takes, which reads its arguments as a format says; of an image's megabytes only the beginning is copied.
    front, name, behind = text[:_LONGEST_FRAME].partition(b'"data"')
    return len(front) + len(name) + len(behind.partition(b"[")[0])


def _remember(text: bytes, tensor: Tensor) -> None:
    """Keep the frame of a plain body, unless it says anything twice or in a way that could mean something else elsewhere."""
    start = _start_of_numbers(text)
    stop = text.find(b"]", start)
    if text.count(b'"data"') != 1 or text.count(b'"inputs"') != 1 or b"\\" in text or start + len(text) - stop > _LONGEST_FRAME:
        return
    if len(_frames) >= _MOST_FRAMES:
        _frames.clear()
    _frames[text[:start]] = _Frame(text[stop:], tensor.name, _packing(tensor.datatype.wire, *tensor.array.shape))


@lru_cache(1024, typed=True)  # typed, or a shape [true, 2] would be found under [1, 2]
def _packing(wire: str, *shape: int) -> _Packing:
    letter = PACKED[wire]
    return _Packing(DATATYPES[wire], check_shape(shape, ""), struct.Struct(f"<{element_count(shape)}{letter}"))
