"""What waits to be recorded, bounded in bytes: filled on the event loop, emptied by the writer."""

from collections import Counter, deque
from typing import Final

from penstock.payloads.offer import Offer

QUEUE_FULL: Final = "queue_full"
_AMPLE_ROWS: Final = 256
_AMPLE_PART: Final = 4


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
        self._offers: deque[Offer] = deque()

    def __len__(self) -> int:
        return len(self._offers)

    @property
    def size_bytes(self) -> int:
        """Bytes that are kept alive: by what waits, and by what is being written."""
        return self._taken_bytes - self._given_bytes

    @property
    def is_ample(self) -> bool:
        """Whether there is enough for the writer not to wait for more."""
        return len(self._offers) >= _AMPLE_ROWS or (self._taken_bytes - self._given_bytes) * _AMPLE_PART > self.max_bytes

    def has_room(self, size_bytes: int) -> bool:
        """Tell whether so many bytes may wait; what may not is counted as dropped."""
        if self._taken_bytes - self._given_bytes + size_bytes <= self.max_bytes:
            return True
        self.dropped[QUEUE_FULL] += 1
        return False

    def put(self, offer: Offer) -> None:
        """Queue what there is room for."""
        self._taken_bytes += offer.size_bytes
        self._offers.append(offer)

    def take(self, most: int) -> list[Offer]:
        """Return the oldest offers, taken out of the queue; give their bytes back once they are written."""
        offers = self._offers
        return [offers.popleft() for _ in range(min(most, len(offers)))]

    def give_back(self, offers: list[Offer]) -> None:
        """Let others have the room of offers that were taken."""
        self._given_bytes += sum([offer.size_bytes for offer in offers])
