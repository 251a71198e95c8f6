"""What was predicted lately, by request id, until the truth comes in, its time is over or room is needed."""

from enum import StrEnum
from typing import Final, NamedTuple

from penstock.domain.clock import NS_PER_S, Clock, monotonic
from penstock.domain.tensor import Array

_ENTRY_BYTES: Final = 600
"""What an entry takes beside its arrays and its id, measured with tracemalloc and rounded up."""
_TEXT_BYTES: Final = 49
"""What Python takes for a text beside its characters, of which each may take four bytes."""
_KEPT: Final = 2
"""After so many times `keep_s` a prediction is forgotten; until then feedback on it is known to be late."""


class Prediction(NamedTuple):
    """What one request was told, and by whom."""

    version: str
    arm: str
    predicted: Array | None = None
    """The output that says the answer, as the model gave it; None if it was not asked for."""
    scores: Array | None = None
    target: int = 0
    """How the two are read: a number, for a number is nothing that the garbage collector would look at again and again."""


_Kept = tuple[int, int, str, str, Array | None, Array | None, int] | tuple[int, int]
"""When, how many bytes, and the fields of a prediction, which go once it has been heard of."""


class Reason(StrEnum):
    """What became of a word of feedback."""

    JOINED = "joined"
    DUPLICATE = "duplicate"
    LATE = "late"
    UNKNOWN = "unknown"


class RecentPredictions:
    """Predictions within bounds of bytes and time; the oldest go first. For one thread."""

    def __init__(self, max_bytes: int, keep_s: float = 86_400, clock: Clock = monotonic) -> None:
        """Feedback is late for a prediction that is older than `keep_s`, and unknown for one that is no longer kept."""
        self.max_bytes: Final = max_bytes
        self._keep_ns: Final = int(keep_s * NS_PER_S)
        self._clock: Final = clock
        self._kept: dict[str, _Kept] = {}
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def remember(self, request_id: str, prediction: Prediction, at_ns: int | None = None) -> None:
        """Keep a prediction; of two with one id the later one counts. One that is larger than the whole window is not kept."""
        version, arm, predicted, scores, target = prediction
        self.keep(request_id, self._clock() if at_ns is None else at_ns, version, arm, predicted, scores, target)

    def keep(  # noqa: PLR0917 - the fields of a prediction: to make a tuple of them for each would take half as long again
        self, request_id: str, at_ns: int, version: str, arm: str, predicted: Array | None, scores: Array | None, target: int
    ) -> None:
        """Do what `remember` does, for whoever does it for every request."""
        kept = self._kept
        if request_id in kept:
            self._forget(request_id)
        size = _ENTRY_BYTES + len(request_id)
        if predicted is not None:
            size += predicted.nbytes if predicted.dtype.char != "O" else _texts_size(predicted)
        if scores is not None:
            size += scores.nbytes
        if size > self.max_bytes:
            return
        kept[request_id] = at_ns, size, version, arm, predicted, scores, target
        self.size_bytes += size
        while self.size_bytes > self.max_bytes:
            self._forget(next(iter(kept)))

    def find(self, request_id: str) -> tuple[Reason, Prediction | None]:
        """Return the prediction that feedback is about, or why none counts; of a late one it is there all the same."""
        if request_id not in self._kept:
            return Reason.UNKNOWN, None
        at_ns, _, *told = self._kept[request_id]
        if not told:
            return Reason.DUPLICATE, None
        return (Reason.LATE if self._clock() - at_ns > self._keep_ns else Reason.JOINED), Prediction(*told)  # type: ignore[arg-type]

    def heard(self, request_id: str) -> None:
        """Let go of a prediction that has had its word; its id keeps its place, so that a repetition is known as one for as long."""
        if request_id in self._kept:
            at_ns, size = self._kept[request_id][:2]
            left = _ENTRY_BYTES + len(request_id)
            self.size_bytes += left - size
            self._kept[request_id] = at_ns, left

    def expire(self) -> None:
        """Forget what nobody will be told of any more; called now and then."""
        latest_ns = self._clock() - _KEPT * self._keep_ns
        while self._kept and next(iter(self._kept.values()))[0] < latest_ns:
            self._forget(next(iter(self._kept)))

    def _forget(self, request_id: str) -> None:
        self.size_bytes -= self._kept.pop(request_id)[1]


def _texts_size(array: Array) -> int:
    return array.nbytes + sum(_TEXT_BYTES + 4 * len(str(item)) for item in array.flat)
