"""MLServer: a custom runtime in the server's own process, adaptive batching by its settings, no access log."""

from typing import Any

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from model import Model


class Runtime(MLModel):
    """The model behind MLServer's own types."""

    async def load(self) -> bool:
        """Open the model."""
        self._model = Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the answer to a request, which the batching may have put together from many."""
        tensors: dict[str, Any] = {one.name: NumpyCodec.decode_input(one) for one in payload.inputs}
        output = NumpyCodec.encode_output(self._model.output, self._model.run(tensors))
        return InferenceResponse(model_name=self.name, outputs=[output])
