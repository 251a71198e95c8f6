"""What a tensor keeps in memory: often more than itself, for it may be a view of a body or of a batch."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from penstock.domain.tensor import Tensor

_BODIES: Final = (bytes, bytearray)


def own_rows(tensor: Tensor, least_bytes: int = 0) -> Tensor:
    """Return the tensor without those of others: its rows are a view of their batch's, all of which it would keep.

    A batch of no more than `least_bytes` is kept: to copy rows costs as much time as a few thousand bytes.
    Nothing else is copied. No buffer is used twice: bodies and messages belong to their request, and runs make new arrays.
    """
    base = tensor.array.base
    if isinstance(base, np.ndarray) and base.nbytes > max(tensor.array.nbytes, least_bytes):
        return Tensor(tensor.name, tensor.datatype, tensor.array.copy())
    return tensor


def held_bytes(tensors: Sequence[Tensor]) -> int:
    """Return the bytes that the tensors keep in memory: their own, or the whole of the buffers that they are views of."""
    if len(tensors) == 1:  # as nearly always
        return _held(tensors[0])[1]
    return sum({id(owner): size for owner, size in map(_held, tensors)}.values())


def _held(tensor: Tensor) -> tuple[object, int]:
    """Return what a tensor keeps alive, and its bytes: a body, or an array. What is below an array of ONNX Runtime's does not tell."""
    array = tensor.array
    base: object = array.base
    while isinstance(base, np.ndarray):
        array, base = base, base.base
    if isinstance(base, memoryview):
        base = base.obj
    texts = 0 if tensor.datatype.itemsize else tensor.size_bytes
    return (base, texts + len(base)) if isinstance(base, _BODIES) else (array, texts + array.nbytes)
