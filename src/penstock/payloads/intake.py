"""What waits to be recorded, bounded in bytes: filled on the event loop, emptied by the writer."""

from collections import Counter, deque
from typing import Any, Final, Protocol

QUEUE_FULL: Final = "queue_full"
_AMPLE_ROWS: Final = 256
_AMPLE_PART: Final = 4
_TOGETHER_BYTES: Final = 8 * 1024 * 1024
"""What is taken at once stops at so many bytes: encoded it takes several times as much."""


class Offered(Protocol):
    """What waits for a writer."""

    @property
    def size_bytes(self) -> int:
        """What it keeps in memory."""

    def record(self, epoch_ns: int, headers: tuple[str, ...], /) -> Any:  # noqa: ANN401 - of the kind that the sink takes
        """Return the row; `epoch_ns` is when the monotonic clock was 0. Called on the writer's thread."""


class Intake:
    """A queue between two threads without a lock: each counter has one thread that writes it."""

    def __init__(self, max_bytes: int) -> None:
        self.accepted = 0
        """Predictions that were to be recorded; the event loop's."""
        self.dropped: Final[Counter[str]] = Counter()
        """Those that never got into the queue, by reason; the event loop's."""
        self.max_bytes: Final = max_bytes
        self._taken_bytes = 0
        self._given_bytes = 0
        self._offers: deque[Offered] = deque()

    def __len__(self) -> int:
        return len(self._offers)

    @property
    def size_bytes(self) -> int:
        """Bytes that are kept alive: by what waits, and by what is being written."""
        return self._taken_bytes - self._given_bytes

    def put(self, offer: Offered) -> bool:
        """Queue an offer, or count it as dropped where there is no room; returns whether the writer has no need to wait for more."""
        self.accepted += 1
        waiting_bytes = self._taken_bytes - self._given_bytes + offer.size_bytes
        if waiting_bytes > self.max_bytes:
            self.dropped[QUEUE_FULL] += 1
            return False
        self._taken_bytes += offer.size_bytes
        self._offers.append(offer)
        return len(self._offers) >= _AMPLE_ROWS or waiting_bytes * _AMPLE_PART > self.max_bytes

    def lose(self, reason: str) -> None:
        """Count a prediction that was to be recorded and cannot be."""
        self.accepted += 1
        self.dropped[reason] += 1

    def take(self, most: int) -> list[Offered]:
        """Return the oldest offers, taken out of the queue: so many, or fewer large ones. Give their bytes back once they are written."""
        offers: list[Offered] = []
        size_bytes = 0
        for _ in range(min(most, len(self._offers))):
            offers.append(offer := self._offers.popleft())
            size_bytes += offer.size_bytes
            if size_bytes > _TOGETHER_BYTES:
                break
        return offers

    def give_back(self, offers: list[Offered]) -> None:
        """Let others have the room of offers that were taken."""
        self._given_bytes += sum([offer.size_bytes for offer in offers])
