"""One request on its way to a shadow: what it asked, and what the primary answered."""

from typing import Final

from penstock.domain.buffers import held_bytes, own_rows
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse

_OVERHEAD_BYTES: Final = 2048
"""What the objects around small tensors take."""
_MOST_TRIES: Final = 3


class ShadowPair:
    """A request by reference, with the answer to it. Lives until it has been compared or dropped."""

    __slots__ = ("disagrees", "outputs", "primary", "primary_ns", "request", "size_bytes", "taken_ns", "tries")

    def __init__(self, request: InferenceRequest, response: InferenceResponse, now_ns: int) -> None:
        self.request = request
        self.primary: ModelVersion = response.version
        self.primary_ns = response.timeline.infer_ns
        outputs = [own_rows(tensor) for tensor in response.outputs]
        self.outputs = {tensor.name: tensor for tensor in outputs}
        self.size_bytes = _OVERHEAD_BYTES + held_bytes(request.inputs) + held_bytes(outputs)
        self.taken_ns = now_ns
        self.tries = 0
        self.disagrees = False
        """Whether the shadow was found to answer otherwise."""

    @property
    def given_up(self) -> bool:
        """Whether runs for the pair have been ended often enough."""
        return self.tries >= _MOST_TRIES
