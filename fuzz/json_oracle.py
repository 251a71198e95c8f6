"""What the JSON of a tensor means, read a second time: by Python's own `json`, value by value."""

import json
import math
from typing import Any, Final

import numpy as np

from penstock.domain.tensor import Array, Tensor

_KINDS: Final[dict[str, tuple[type, ...]]] = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float), "O": (str,)}


def document_of(text: bytes) -> Any:
    """Return what the text holds."""
    return json.loads(text.decode())


def check_input(tensor: Tensor, name: object, datatype: object, shape: object, data: object) -> None:
    """Fail unless the tensor is exactly what was said of it."""
    assert (tensor.name, tensor.datatype.wire, list(tensor.array.shape)) == (name, datatype, shape)
    check_values(tensor.array, data)


def check_values(array: Array, data: object) -> None:
    """Fail unless the array holds these values, none of them changed by more than the rounding of FP32."""
    values, flat = list(leaves(data)), array.reshape(-1).tolist()
    assert len(values) == len(flat), (len(values), len(flat))
    for value, got in zip(values, flat, strict=True):
        assert type(value) in _KINDS[array.dtype.kind], (value, array.dtype)
        assert _is(value, got, array), (value, got, array.dtype)


def leaves(data: object) -> Any:
    """Yield the values of a nested list, row by row."""
    if isinstance(data, list):
        for item in data:
            yield from leaves(item)
    else:
        yield data


def _is(value: Any, got: Any, array: Array) -> bool:
    if array.dtype.kind != "f":
        return bool(value == got)
    if math.isnan(value):
        return math.isnan(got)
    with np.errstate(over="ignore"):
        return bool(array.dtype.type(value) == array.dtype.type(got))


def check_output(tensor: Tensor, entry: Any) -> None:
    """Fail unless the entry of an answer says what the tensor is."""
    assert (entry["name"], entry["datatype"], entry["shape"]) == (tensor.name, tensor.datatype.wire, list(tensor.array.shape))
    check_values(tensor.array, entry["data"])
