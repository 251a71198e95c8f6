"""Tensors as JSON, which holds every value exactly: those of many rows in one go."""

import base64
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Final

import numpy as np
import orjson

from penstock.domain.tensor import RAW_ONLY, Array, Tensor

_N: Final = ord("n")
"""A letter as a number: to look for that takes a twentieth of the time."""
_LENGTH: Final = struct.Struct("<I")
_SMALL: Final = 1024
"""Elements up to which tensors are written together: with more of them the call for each costs nothing beside what it writes."""
Look = tuple[str, str, tuple[int, ...]]
"""Name, datatype and shape: what tensors that look alike have in common."""


def cells_of(rows: Sequence[Sequence[Tensor]]) -> list[str]:
    """Return the tensors of each row as the elements of a JSON list; raises TypeError for names that are no UTF-8."""
    tensors = list(chain.from_iterable(rows))
    looks = [(tensor.name, tensor.datatype.wire, tensor.array.shape) for tensor in tensors]
    if looks and looks.count(looks[0]) == len(rows) == len(tensors):  # as nearly always: one each, and all alike
        return _cells(looks[0], [tensor.array for tensor in tensors])
    cells = iter(_mixed(tensors, looks))
    return [",".join(islice(cells, len(row))) for row in rows]


def bytes_of(array: Array) -> bytes:
    """Return the elements little-endian and row-major, those of BYTES with a length of four bytes before each: as on the wire."""
    return array.tobytes() if not array.dtype.hasobject else b"".join(map(_framed, array.flat))


def _mixed(tensors: Sequence[Tensor], looks: Sequence[Look]) -> list[str]:
    places: dict[Look, list[int]] = {}
    for place, look in enumerate(looks):
        places.setdefault(look, []).append(place)
    cells = [""] * len(tensors)
    for look, alike in places.items():
        for place, cell in zip(alike, _cells(look, [tensors[place].array for place in alike]), strict=True):
            cells[place] = cell
    return cells


def _cells(look: Look, alike: Sequence[Array]) -> list[str]:
    """Return arrays that look alike, each as a cell: elements as a list, or as base64 where JSON has no such list."""
    head = _head(look)
    if look[1] in RAW_ONLY:
        return [f'{head}"b64":"{_base64(array)}"}}' for array in alike]
    if alike[0].dtype.hasobject or alike[0].size > _SMALL or (lists := _lists(alike)) is None:
        return [f"{head}{_content(array)}}}" for array in alike]
    return [f'{head}"data":[{elements}]}}' for elements in lists]


@lru_cache(1024)
def _head(look: Look) -> str:
    name, wire, shape = look
    return orjson.dumps({"name": name, "datatype": wire, "shape": shape})[:-1].decode() + ","


def _lists(alike: Sequence[Array]) -> Iterable[str] | None:
    """Return the elements of each array, commas between them; None if some are numbers that JSON lacks."""
    first = alike[0]
    block = np.frombuffer(b"".join([array.tobytes() for array in alike]), first.dtype).reshape(len(alike), first.size)
    text = orjson.dumps(block, option=orjson.OPT_SERIALIZE_NUMPY)
    # What JSON lacks has become null. To look for a letter that no number has costs less than to look at the numbers.
    if _N in text:
        return None
    # Split at one letter, which is much faster than at several: "[[1,2],[3,4]]" without its ends is "[1,2" and ",[3,4".
    first_list, *others = text[1:-2].decode().split("]")
    return [first_list[1:], *[each[2:] for each in others]]


def _content(array: Array) -> str:
    data = _data(array.ravel())
    return f'"b64":"{_base64(array)}"' if data is None else f'"data":{data.decode()}'


def _data(flat: Array) -> bytes | None:
    """Return the elements as a list; None for numbers that JSON lacks and text that is no UTF-8."""
    if flat.dtype.hasobject:
        try:
            return orjson.dumps(flat.tolist())
        except TypeError:
            return None
    data = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)
    return None if _N in data else data


def _base64(array: Array) -> str:
    return base64.b64encode(bytes_of(array)).decode()


def _framed(item: object) -> bytes:
    data = item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(data)) + data
