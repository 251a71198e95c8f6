"""Datatypes, tensor declarations and tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Datatype:
    """One row of the protocol's table of datatypes (Open Inference Protocol, "Tensor Data Types")."""

    wire: str
    """The name in requests and answers."""
    dtype: np.dtype[Any]
    """How an array holds it; BF16 is held as the 16 raw bits, BYTES as Python text."""
    itemsize: int
    """Bytes of one element on the wire; 0 for BYTES, whose elements carry their length."""
    onnx: str
    """The name that ONNX Runtime gives it."""

    def __reduce__(self) -> tuple[Callable[[str], "Datatype"], tuple[str]]:
        """Be the same object in the process that it is sent to: datatypes are told apart by identity."""
        return _datatype_of, (self.wire,)


def _datatype_of(wire: str) -> Datatype:
    return DATATYPES[wire]


def _row(wire: str, dtype: str, itemsize: int, onnx: str) -> Datatype:
    return Datatype(wire, np.dtype(dtype), itemsize, f"tensor({onnx})")


DATATYPES: Final[dict[str, Datatype]] = {
    row.wire: row
    for row in (
        _row("BOOL", "?", 1, "bool"),
        _row("UINT8", "<u1", 1, "uint8"),
        _row("UINT16", "<u2", 2, "uint16"),
        _row("UINT32", "<u4", 4, "uint32"),
        _row("UINT64", "<u8", 8, "uint64"),
        _row("INT8", "<i1", 1, "int8"),
        _row("INT16", "<i2", 2, "int16"),
        _row("INT32", "<i4", 4, "int32"),
        _row("INT64", "<i8", 8, "int64"),
        _row("FP16", "<f2", 2, "float16"),
        _row("FP32", "<f4", 4, "float"),
        _row("FP64", "<f8", 8, "double"),
        _row("BYTES", "O", 0, "string"),
        _row("BF16", "<u2", 2, "bfloat16"),
    )
}
"""Every datatype of the protocol, by its name on the wire."""

RAW_ONLY: Final = frozenset({"FP16", "BF16"})
"""Datatypes that JSON does not carry, either way."""

DATATYPE_OF_ONNX: Final[dict[str, Datatype]] = {row.onnx: row for row in DATATYPES.values()}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model declares of one input or output."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    """-1 stands for a dimension that may vary; the batch dimension is included."""
    optional: bool = False
    labels: tuple[str, ...] = ()
    """Class names by index, for outputs that a label file describes."""
    columns: tuple[str, ...] = ()
    """Names of the entries along the last dimension, where somebody has said them."""

    def __reduce__(self) -> tuple[type["TensorSpec"], tuple[object, ...]]:
        """Be made anew in the process that it is sent to: what is frozen and compiled cannot be filled afterwards."""
        return TensorSpec, (self.name, self.datatype, self.shape, self.optional, self.labels, self.columns)

    @property
    def has_columns(self) -> bool:
        """Whether the last dimension is one of features, and not the one that counts rows."""
        return len(self.shape) > 1 or bool(self.shape and self.shape[0] > 0)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Tell whether a tensor of that shape is one of these."""
        wanted = self.shape
        # Most models fix everything but the batch, and comparing tuples costs less than a loop.
        if shape[1:] == wanted[1:] and len(shape) == len(wanted):
            return not wanted or wanted[0] in (-1, shape[0])
        return len(shape) == len(wanted) and all(want in (-1, seen) for want, seen in zip(wanted, shape, strict=True))


@dataclass(slots=True, init=False, eq=False)
class Tensor:
    """One named array of a request or an answer."""

    name: str
    datatype: Datatype
    array: Array
    """C-contiguous, of the datatype's dtype, in its true shape."""

    def __init__(self, name: str, datatype: Datatype, array: Array) -> None:
        self.name = name
        self.datatype = datatype
        self.array = array

    @property
    def size_bytes(self) -> int:
        """Bytes that the array's elements take in memory, for BYTES the text alone."""
        if self.datatype.itemsize:
            return int(self.array.nbytes)
        return sum(len(item) + 4 for item in self.array.flat)


def element_count(shape: tuple[int, ...] | list[int]) -> int:
    """Return the product of the dimensions; 1 for rank 0. Python integers, so it never wraps."""
    count = 1
    for dim in shape:
        count *= dim
    return count
