"""What a tensor keeps in memory: often more than itself, for it may be a view of a body or of a batch."""

from collections.abc import Sequence, Sized

import numpy as np

from penstock.domain.tensor import Tensor


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
        _, datatype, array = tensors[0]
        base: object = array.base
        if datatype.itemsize and (base is None or isinstance(base, bytes)):
            return int(array.nbytes) if base is None else len(base)
        return _owner(tensors[0])[1]
    owners = {id(owner): size for owner, size in map(_owner, tensors)}
    return sum(owners.values())


def _owner(tensor: Tensor) -> tuple[object, int]:
    owner: object = tensor.array
    if tensor.array.base is None and tensor.datatype.itemsize:
        return owner, tensor.array.nbytes
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    if isinstance(owner, memoryview):
        owner = owner.obj
    texts = 0 if tensor.datatype.itemsize else tensor.size_bytes
    return owner, texts + (owner.nbytes if isinstance(owner, np.ndarray) else len(owner) if isinstance(owner, Sized) else 0)
