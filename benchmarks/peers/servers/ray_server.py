"""Ray Serve: one replica behind its proxy, batches by `serve.batch`; body and answer by Starlette, as its pages have it."""

import asyncio
from typing import Any

import numpy as np
import ray
import ray_grpc
from model import GRPC_PORT, HTTP_PORT, MAX_ROWS, NAME, WAIT_MS, Model, Tensors
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

CONCURRENT = 2 * MAX_ROWS


@serve.deployment(num_replicas=1, max_ongoing_requests=CONCURRENT)
class Service:
    """Lists of numbers in JSON, or the tensor's bytes, told apart by the content type."""

    def __init__(self) -> None:
        self._model = Model()

    @serve.batch(max_batch_size=MAX_ROWS, batch_wait_timeout_s=WAIT_MS / 1000)
    async def run(self, requests: list[Tensors]) -> list[np.ndarray[Any, Any]]:
        """Return the answers to a batch of requests."""
        return self._model.run_many(requests)

    async def __call__(self, request: Request) -> Response:
        """Return the answer to one request."""
        if request.headers["content-type"] == "application/json":
            result = await self.run(self._model.from_lists(await request.json()))
            return JSONResponse({self._model.output: result.ravel().tolist()})
        result = await self.run(self._model.from_bytes(await request.body()))
        return Response(result.tobytes(), media_type="application/octet-stream")

    async def ModelInfer(self, request: bytes) -> Any:  # noqa: ANN401, N802 - a message; Ray calls it as the protocol does
        """Return the answer to one request over gRPC."""
        result = await self.run(ray_grpc.tensors(request))
        return ray_grpc.answer(NAME, self._model.output, result)


async def forever() -> None:
    """Keep the driver, and with it Ray, until the process is told to end."""
    await asyncio.Event().wait()


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": HTTP_PORT},
        grpc_options={"port": GRPC_PORT, "grpc_servicer_functions": ["ray_grpc.add_to_server"]},
        logging_config={"enable_access_log": False},
    )
    serve.run(Service.bind())
    asyncio.run(forever())
