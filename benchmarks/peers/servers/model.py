"""What every peer's server needs: its settings from the runner, and the model in a session of one thread.

It runs in a peer's environment, so it imports nothing but numpy and ONNX Runtime.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

Tensors = Mapping[str, np.ndarray[Any, Any]]

HTTP_PORT: Final = int(os.environ["PEER_HTTP_PORT"])
GRPC_PORT: Final = int(os.environ["PEER_GRPC_PORT"])
MODEL: Final = Path(os.environ["PEER_MODEL"])
NAME: Final = os.environ["PEER_NAME"]
MAX_ROWS: Final = int(os.environ["PEER_MAX_ROWS"])
WAIT_MS: Final = int(os.environ["PEER_WAIT_MS"])
BINARY: Final = os.environ["PEER_BINARY"] == "1"
"""Whether the tensor's bytes are also asked with."""
_TYPES: Final = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class Model:
    """The ONNX file in one session, and its tensors' names, types and shapes."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(MODEL), options, providers=["CPUExecutionProvider"])
        self._output: str = self._session.get_outputs()[0].name
        # -1 in place of the batch dimension, so that a flat list becomes as many rows as it holds.
        self._inputs = {one.name: (_TYPES[one.type], (-1, *one.shape[1:])) for one in self._session.get_inputs()}

    @property
    def output(self) -> str:
        """Return the name of the one output."""
        return self._output

    def run(self, tensors: Tensors) -> np.ndarray[Any, Any]:
        """Return the output for a batch."""
        [result] = self._session.run([self._output], dict(tensors))
        return np.asarray(result)

    def run_many(self, requests: Sequence[Tensors]) -> list[np.ndarray[Any, Any]]:
        """Return the output of each request of one row, from a single run."""
        batch = {name: np.concatenate([request[name] for request in requests]) for name in self._inputs}
        return np.split(self.run(batch), len(requests))

    def run_stacked(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the output for a batch in one array of `stacked_shape`."""
        apart = [rows] if len(self._inputs) == 1 else np.moveaxis(rows, 1, 0)
        return self.run(dict(zip(self._inputs, apart, strict=True)))

    @property
    def stacked_shape(self) -> tuple[int, ...]:
        """Return the shape of a batch of all inputs in one array: [rows, ...], or [rows, inputs, ...] if there are several."""
        [shape] = {shape for _, shape in self._inputs.values()}
        return shape if len(self._inputs) == 1 else (-1, len(self._inputs), *shape[1:])

    @property
    def stacked_type(self) -> str:
        """Return the element type that all inputs have."""
        [kind] = {kind for kind, _ in self._inputs.values()}
        return np.dtype(kind).name

    def from_lists(self, body: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray[Any, Any]]:
        """Return the tensors of a request that names its inputs, each a flat list of numbers."""
        return {name: np.array(body[name], kind).reshape(shape) for name, (kind, shape) in self._inputs.items()}

    def from_bytes(self, body: bytes) -> dict[str, np.ndarray[Any, Any]]:
        """Return the tensor of a request that is the bytes of its one input."""
        [(name, (kind, shape))] = self._inputs.items()
        return {name: np.frombuffer(body, kind).reshape(shape)}
