"""Buffers on a device that batches are copied into, kept from run to run."""

import threading
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from penstock.domain.tensor import DATATYPE_OF_ONNX, DATATYPES, Array, element_count
from penstock.execution.devices import Device
from penstock.execution.engine import ort

_KEPT: Final = 3
"""Buffers of one shape: one that runs, one that is being filled, one to spare."""
_ONNX_OF: Final = {row.dtype: row.onnx for wire, row in DATATYPES.items() if wire != "BF16"}
_Key = tuple[str, tuple[int, ...], str]


class Slabs:
    """Lends device buffers. ONNX Runtime copies into a bound one without allocating, and copies beside a run that is under way."""

    def __init__(self, device: Device, most_bytes: int = 1 << 62) -> None:
        """`most_bytes` is what is kept between runs: inputs of ever new shapes would fill the device else."""
        self._device = device
        self._most_bytes = most_bytes
        self.kept_bytes = 0
        """Of all buffers that no run uses."""
        self._free: dict[_Key, list[Any]] = {}
        """By shape, those used last at the end."""
        self._lock = threading.Lock()

    def fill(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """Return the inputs as values on the device; give them back after the run."""
        return {name: self._filled(name, array) for name, array in inputs.items()}

    def give_back(self, values: Mapping[str, Any]) -> None:
        """Take the buffers of a run for the next one."""
        with self._lock:
            for name, value in values.items():
                key = name, tuple(value.shape()), value.data_type()
                free = self._free[key] = self._free.pop(key, [])
                if len(free) < _KEPT:
                    free.append(value)
                    self.kept_bytes += _size(key)
            self._forget()

    def _filled(self, name: str, array: Array) -> Any:  # noqa: ANN401 - onnxruntime ships no types
        with self._lock:
            key = name, array.shape, _ONNX_OF[array.dtype]
            free = self._free.get(key)
            value = free.pop() if free else None
            self.kept_bytes -= 0 if value is None else _size(key)
        if value is None:
            value = ort.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, self._kind, self._device.index)
        value.update_inplace(np.ascontiguousarray(array))
        return value

    def _forget(self) -> None:
        """Free the buffers of the shapes that have not run for longest, until the rest may be kept."""
        while self.kept_bytes > self._most_bytes:
            key, free = next(iter(self._free.items()))
            del self._free[key]
            self.kept_bytes -= len(free) * _size(key)

    @property
    def _kind(self) -> str:
        """The memory's name: TensorRT computes in CUDA's."""
        return "cpu" if self._device.kind == "cpu" else "cuda"


def _size(key: _Key) -> int:
    """Return the bytes of a buffer."""
    _, shape, datatype = key
    return element_count(shape) * DATATYPE_OF_ONNX[datatype].itemsize
