"""BentoML: one worker, its adaptive batching, no access log; a batched method takes one array."""

from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import DType, Shape
from model import MAX_ROWS, WAIT_MS, Model

MODEL = Model()
# Without the parameters that a type checker wants: BentoML reads them itself and stumbles over `Any`.
Rows = Annotated[np.ndarray, DType(MODEL.stacked_type), Shape(MODEL.stacked_shape)]


@bentoml.service(workers=1, threads=1, logging={"access": {"enabled": False}}, traffic={"timeout": 120}, metrics={"enabled": True})
class Service:
    """One method; the two inputs of the encoder come as one array with an axis more."""

    @bentoml.api(batchable=True, max_batch_size=MAX_ROWS, max_latency_ms=WAIT_MS)
    def predict(self, rows: Rows, /) -> np.ndarray:  # type: ignore[type-arg]
        """Return the answers to a batch."""
        return MODEL.run_stacked(rows)
