"""KServe's server: the v2 protocol over HTTP and gRPC. It batches nothing: KServe leaves that to a sidecar written in Go."""

from kserve import InferOutput, InferRequest, InferResponse, ModelServer
from kserve import Model as ServedModel
from kserve.utils.utils import generate_uuid
from model import GRPC_PORT, HTTP_PORT, NAME, Model


class Runtime(ServedModel):  # type: ignore[misc]
    """The model behind KServe's own types."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self._model = Model()
        self.ready = True

    async def predict(self, payload: InferRequest, headers: dict[str, str] | None = None) -> InferResponse:  # noqa: ARG002
        """Return the answer to a request."""
        result = self._model.run({one.name: one.as_numpy() for one in payload.inputs})
        output = InferOutput(self._model.output, list(result.shape), "FP32")
        output.set_data_from_numpy(result, binary_data=payload.use_binary_outputs)
        return InferResponse(payload.id or generate_uuid(), NAME, [output], use_binary_outputs=payload.use_binary_outputs)


if __name__ == "__main__":
    ModelServer(http_port=HTTP_PORT, grpc_port=GRPC_PORT, workers=1, enable_latency_logging=False).start([Runtime()])
