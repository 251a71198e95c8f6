"""What was predicted lately, by request id, until the truth comes in or room is needed."""

from collections import Counter
from enum import StrEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.domain.clock import NS_PER_S, Clock, monotonic

_ENTRY_BYTES: Final = 600
"""What an entry takes beside its arrays and its id, measured with tracemalloc and rounded up."""


class Prediction(NamedTuple):
    """What one request was told, and by whom."""

    version: str
    arm: str
    predicted: NDArray[Any]
    """One value for each row: a class or a number."""
    probabilities: NDArray[np.floating] | None = None
    """Shape (rows, classes), where the model gives them."""

    @property
    def size_bytes(self) -> int:
        """Memory that the entry takes."""
        return _ENTRY_BYTES + self.predicted.nbytes + (0 if self.probabilities is None else self.probabilities.nbytes)


class Reason(StrEnum):
    """What became of a word of feedback."""

    JOINED = "joined"
    DUPLICATE = "duplicate"
    LATE = "late"
    UNKNOWN = "unknown"


class RecentPredictions:
    """A bounded window of predictions; the oldest go first. For one thread."""

    def __init__(self, max_bytes: int, keep_s: float = 86_400, clock: Clock = monotonic) -> None:
        """Feedback is late for a prediction that is older than `keep_s`, and unknown for one that is no longer kept."""
        self._max_bytes: Final = max_bytes
        self._keep_ns: Final = int(keep_s * NS_PER_S)
        self._clock: Final = clock
        self._kept: dict[str, tuple[int, int, Prediction | None]] = {}
        """By request id: when, bytes, and the prediction, None once its truth has come in."""
        self.size_bytes = 0
        self.ends: Final[Counter[Reason]] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    def remember(self, request_id: str, prediction: Prediction) -> None:
        """Keep a prediction; of two with one id the later one counts. One that is larger than the whole window is not kept."""
        self._forget(request_id)
        size = prediction.size_bytes + len(request_id)
        if size > self._max_bytes:
            return
        self._put(request_id, self._clock(), size, prediction)
        while self.size_bytes > self._max_bytes:
            self._forget(next(iter(self._kept)))

    def join(self, request_id: str) -> tuple[Reason, Prediction | None]:
        """Return the prediction that feedback is about, once, or why there is none; counts either."""
        reason, prediction = self._find(request_id)
        self.ends[reason] += 1
        if reason is Reason.JOINED:
            at, size, _ = self._kept[request_id]
            self.size_bytes += _ENTRY_BYTES + len(request_id) - size
            # The id keeps its place in the order: a repetition is known as one for as long as the prediction would have been.
            self._kept[request_id] = at, _ENTRY_BYTES + len(request_id), None
        return reason, prediction

    def _find(self, request_id: str) -> tuple[Reason, Prediction | None]:
        if request_id not in self._kept:
            return Reason.UNKNOWN, None
        at, _, prediction = self._kept[request_id]
        if prediction is None:
            return Reason.DUPLICATE, None
        if self._clock() - at > self._keep_ns:
            return Reason.LATE, None
        return Reason.JOINED, prediction

    def _put(self, request_id: str, at: int, size: int, prediction: Prediction) -> None:
        self._kept[request_id] = at, size, prediction
        self.size_bytes += size

    def _forget(self, request_id: str) -> None:
        _, size, _ = self._kept.pop(request_id, (0, 0, None))
        self.size_bytes -= size
