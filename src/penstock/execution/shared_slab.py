"""Memory that a server shares with a worker process: batches go out in it, and outputs come back."""

import fcntl
import mmap
import os
from collections.abc import Sequence
from typing import Final

import numpy as np

from penstock.domain.tensor import DATATYPES, Array, Tensor, TensorSpec, element_count
from penstock.execution.worker_frames import Placed
from penstock.wire.raw import array_of, raw_of

_SMALLEST: Final = 64 * 1024
_ALIGNMENT: Final = 64
_BYTES: Final = DATATYPES["BYTES"]
_LOOKED_AT: Final = frozenset({_BYTES, DATATYPES["BOOL"]})
"""Datatypes that not all bytes are values of."""
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class SharedSlab:
    """A mapping of anonymous memory. It has no name, so that nothing is left of it when both processes have died.

    Its size is sealed: a worker that could make it shorter would kill the server with SIGBUS.
    """

    def __init__(self, fd: int) -> None:
        """Map the memory behind a descriptor, which the slab owns from now on."""
        self._fd = fd
        self.size: Final = os.fstat(fd).st_size
        self._map = mmap.mmap(fd, self.size)

    @classmethod
    def new(cls, least_bytes: int) -> "SharedSlab":
        """Return a slab of the next power of two."""
        fd = os.memfd_create("penstock-slab", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, max(_SMALLEST, 1 << (least_bytes - 1).bit_length()))
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            return cls(fd)
        except BaseException:
            os.close(fd)
            raise

    def lend(self) -> int:
        """Return the descriptor to send to the other process; `close_descriptor` after that."""
        return self._fd

    def close_descriptor(self) -> None:
        """Keep the memory alone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(self, tensors: Sequence[tuple[int, Tensor]], offset: int = 0) -> tuple[Placed, ...]:
        """Copy tensors into the slab and say where they lie; `span` has told whether they fit."""
        placed = []
        for index, tensor in tensors:
            array, datatype = tensor.array, tensor.datatype
            if datatype.itemsize:
                size = array.nbytes
                np.ndarray(array.shape, datatype.dtype, self._map, offset)[...] = array
            else:
                size = self._write_texts(array, offset)
            placed.append(Placed(index, array.shape, offset, size))
            offset += _padded(size)
        return tuple(placed)

    def view(self, placed: Placed, spec: TensorSpec) -> Array:
        """Return a tensor where it lies, texts copied.

        Raises `InvalidInput`, `TypeError` or `ValueError` if it is not what it is said to be.
        """
        datatype = spec.datatype
        if datatype in _LOOKED_AT:
            return array_of(spec.name, datatype, placed.shape, self._part(placed))
        self._check(placed, element_count(placed.shape) * datatype.itemsize)
        return np.ndarray(placed.shape, datatype.dtype, self._map, placed.offset)

    def read(self, placed: Placed, spec: TensorSpec) -> Array:
        """Return a copy of a tensor, which nobody else can change; raises as `view` does, by what was copied."""
        datatype = spec.datatype
        if datatype in _LOOKED_AT:
            return array_of(spec.name, datatype, placed.shape, bytes(self._part(placed)))
        return self.view(placed, spec).copy()

    def _write_texts(self, array: Array, offset: int) -> int:
        data = raw_of(Tensor("", _BYTES, array))
        self._map[offset : offset + len(data)] = bytes(data)
        return len(data)

    def _part(self, placed: Placed) -> memoryview:
        self._check(placed, placed.size)
        return memoryview(self._map)[placed.offset : placed.offset + placed.size]

    def _check(self, placed: Placed, size: int) -> None:
        """Raise `ValueError` unless so many bytes of the slab are there; numpy takes an offset below 0 for one that it has checked."""
        if placed.offset < 0 or size < 0 or placed.offset + size > self.size or min(placed.shape, default=0) < 0:
            raise ValueError(f"{size} bytes at {placed.offset} for {placed.shape} are not in a slab of {self.size}")


def span(tensors: Sequence[tuple[int, Tensor]]) -> int:
    """Return the bytes of a slab that the tensors take."""
    return sum([_padded(_raw_size(tensor)) for _, tensor in tensors])


def _raw_size(tensor: Tensor) -> int:
    if tensor.datatype.itemsize:
        return int(tensor.array.nbytes)
    return sum(len(str(item).encode()) + 4 for item in tensor.array.reshape(-1))


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
