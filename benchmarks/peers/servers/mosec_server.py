"""mosec: one worker behind its front in Rust, with its own JSON or, where the runner says so, with orjson."""

import os
from typing import Any

import numpy as np
import orjson
from model import BINARY, MAX_ROWS, WAIT_MS, Model, Tensors
from mosec import Server, Worker


class Batched(Worker):
    """A worker that answers batches; `deserialize` and `serialize` are the hooks that mosec has for formats."""

    def __init__(self) -> None:
        super().__init__()
        self._model = Model()

    def forward(self, data: list[Any]) -> list[Any]:
        """Return the answers to a batch of requests."""
        return self._model.run_many(data)


class Json(Batched):
    """Lists of numbers in, lists of numbers out, by mosec's default: `json`, with an indent in the answer."""

    def deserialize(self, data: bytes) -> Tensors:
        """Return the tensors of a request."""
        return self._model.from_lists(super().deserialize(data))

    def serialize(self, data: np.ndarray[Any, Any]) -> bytes:
        """Return the body of an answer."""
        return bytes(super().serialize({self._model.output: data.ravel().tolist()}))


class Orjson(Batched):
    """The same by orjson."""

    def deserialize(self, data: bytes) -> Tensors:
        """Return the tensors of a request."""
        return self._model.from_lists(orjson.loads(data))

    def serialize(self, data: np.ndarray[Any, Any]) -> bytes:
        """Return the body of an answer."""
        return orjson.dumps({self._model.output: data.ravel()}, option=orjson.OPT_SERIALIZE_NUMPY)


class Bytes(Batched):
    """The tensor's bytes in, and the answer's out."""

    resp_mime_type = "application/octet-stream"

    def deserialize(self, data: bytes) -> Tensors:
        """Return the tensor of a request."""
        return self._model.from_bytes(data)

    def serialize(self, data: np.ndarray[Any, Any]) -> bytes:
        """Return the body of an answer."""
        return data.tobytes()


if __name__ == "__main__":
    server = Server()
    json = Orjson if "MOSEC_WITH_ORJSON" in os.environ else Json
    server.append_worker(json, max_batch_size=MAX_ROWS, max_wait_time=WAIT_MS, route="/inference")
    if BINARY:
        server.append_worker(Bytes, max_batch_size=MAX_ROWS, max_wait_time=WAIT_MS, route="/bytes")
    server.run()
