"""One word of feedback: what somebody says of one earlier prediction."""

from collections.abc import Sequence
from typing import NamedTuple

from penstock.domain.tensor import Tensor, TensorSpec


class Word(NamedTuple):
    """The truth, or a reward, for the prediction of one request id."""

    request_id: str
    truth: Sequence[Tensor] = ()
    """Outputs as they should have been. For an output of scores also the places of the right ones, whole numbers."""
    reward: float | None = None
    outputs: Sequence[TensorSpec] = ()
    """Those of the version by which the truth was read: they tell of columns."""
