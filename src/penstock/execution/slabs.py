"""Buffers on a device that batches are copied into, kept from run to run."""

import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from penstock.domain.tensor import DATATYPES, Array
from penstock.execution.devices import Device
from penstock.execution.engine import ort

_KEPT: Final = 3
"""Buffers of one shape: one that runs, one that is being filled, one to spare."""
_ONNX_OF: Final = {row.dtype: row.onnx for wire, row in DATATYPES.items() if wire != "BF16"}
_Key = tuple[str, tuple[int, ...], str]


class Slabs:
    """Lends device buffers. ONNX Runtime copies into a bound one without allocating, and copies beside a run that is under way."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._free: defaultdict[_Key, list[Any]] = defaultdict(list)
        self._lock = threading.Lock()

    def fill(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """Return the inputs as values on the device; give them back after the run."""
        return {name: self._filled(name, array) for name, array in inputs.items()}

    def give_back(self, values: Mapping[str, Any]) -> None:
        """Take the buffers of a run for the next one."""
        with self._lock:
            for name, value in values.items():
                free = self._free[name, tuple(value.shape()), value.data_type()]
                if len(free) < _KEPT:
                    free.append(value)

    def _filled(self, name: str, array: Array) -> Any:  # noqa: ANN401 - onnxruntime ships no types
        with self._lock:
            free = self._free[name, array.shape, _ONNX_OF[array.dtype]]
            value = free.pop() if free else None
        if value is None:
            value = ort.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, self._kind, self._device.index)
        value.update_inplace(np.ascontiguousarray(array))
        return value

    @property
    def _kind(self) -> str:
        """The memory's name: TensorRT computes in CUDA's."""
        return "cpu" if self._device.kind == "cpu" else "cuda"
