"""LitServe: one server process, one worker, the fast queue; batches are gathered by the worker's loop."""

from typing import Any

import litserve
import numpy as np
from fastapi import Request
from model import HTTP_PORT, MAX_ROWS, WAIT_MS, Model, Tensors


class Api(litserve.LitAPI):
    """Lists of numbers in JSON, or a file of the tensor's bytes in a form, as its page on images has it."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the caller names it
        """Open the model, in the worker."""
        self._model = Model()

    # LitServe reads the annotation: `Request` has the body as it came, in a mapping; any other type is validated by pydantic.
    def decode_request(self, request: Request) -> Tensors:
        """Return the tensors of a request."""
        if "file" in request:
            return self._model.from_bytes(request["file"].file.read())
        return self._model.from_lists(request)

    def batch(self, inputs: list[Tensors]) -> list[Tensors]:
        """Leave the requests apart: the model puts them together by name."""
        return inputs

    def predict(self, x: list[Tensors]) -> list[np.ndarray[Any, Any]]:
        """Return the answers to a batch of requests."""
        return self._model.run_many(x)

    def unbatch(self, output: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Leave the answers as they are, one per request."""
        return output

    def encode_response(self, output: np.ndarray[Any, Any]) -> dict[str, list[float]]:
        """Return what becomes the answer's JSON."""
        return {self._model.output: output.ravel().tolist()}


if __name__ == "__main__":
    api = Api(max_batch_size=MAX_ROWS, batch_timeout=WAIT_MS / 1000)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True, timeout=120)
    server.run(host="127.0.0.1", port=HTTP_PORT, num_api_servers=1, generate_client_file=False, access_log=False)
