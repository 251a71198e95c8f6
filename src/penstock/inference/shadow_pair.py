"""One request on its way to a shadow: what it asked, and what the primary answered."""

from collections.abc import Sequence, Sized
from typing import Final

import numpy as np

from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.tensor import Tensor

_OVERHEAD_BYTES: Final = 2048
"""What the objects around small tensors take."""
_MOST_TRIES: Final = 3


class ShadowPair:
    """A request by reference, with the answer to it. Lives until it has been compared or dropped."""

    __slots__ = ("outputs", "primary", "primary_ns", "request", "size_bytes", "taken_ns", "tries")

    def __init__(self, request: InferenceRequest, response: InferenceResponse, now_ns: int) -> None:
        self.request = request
        self.primary: ModelVersion = response.version
        self.primary_ns = response.timeline.infer_ns
        outputs = [own_rows(tensor) for tensor in response.outputs]
        self.outputs = {tensor.name: tensor for tensor in outputs}
        self.size_bytes = _OVERHEAD_BYTES + held_bytes(request.inputs) + held_bytes(outputs)
        self.taken_ns = now_ns
        self.tries = 0

    @property
    def given_up(self) -> bool:
        """Whether runs for the pair have been ended often enough."""
        return self.tries >= _MOST_TRIES


def own_rows(tensor: Tensor) -> Tensor:
    """Return the tensor without those of others: its rows are a view of their batch's, all of which it would keep.

    Nothing else is copied. No buffer is used twice: bodies and messages belong to their request, and runs make new arrays.
    """
    base = tensor.array.base
    if isinstance(base, np.ndarray) and base.nbytes > tensor.array.nbytes:
        return Tensor(tensor.name, tensor.datatype, tensor.array.copy())
    return tensor


def held_bytes(tensors: Sequence[Tensor]) -> int:
    """Return the bytes that the tensors keep in memory: their own, or the whole of the buffers that they are views of."""
    if len(tensors) == 1:  # as nearly always
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
