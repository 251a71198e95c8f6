"""Predictions that are recorded only if a shadow disagrees, or with another probability if it does: held until the shadow has answered.

A row says with which probability it is there. Where a disagreement is always kept that is 1 for a prediction in which a shadow disagrees,
and the sample for all others, the ones that no shadow came to compare among them: weighted sums are right on average whichever predictions
shadows get to, as long as that has nothing to do with the draw.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock.domain.clock import NS_PER_S, Clock, monotonic
from penstock.domain.request import InferenceRequest
from penstock.payloads.offer import Offer

_PATIENCE_NS: Final = 60 * NS_PER_S
"""After which nobody will answer any more."""
_MOST: Final = 65_536
Put = Callable[[Offer], None]


@dataclass(slots=True)
class _Held:
    request: InferenceRequest
    """Kept for its identity, which is what it is found by."""
    offer: Offer
    put: Put
    waits: int
    """Shadows that have not answered."""
    since_ns: int


class Undecided:
    """Offers of one server that wait for shadows. Lives on the event loop."""

    def __init__(self, max_bytes: int, clock: Clock = monotonic) -> None:
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._clock = clock
        self._held: dict[int, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, request: InferenceRequest, offer: Offer, waits: int, put: Put) -> None:
        """Keep an offer until as many shadows have answered; what there is no room for is decided by the draw alone."""
        now_ns = self._clock()
        self._give_up(now_ns - _PATIENCE_NS)
        if len(self._held) >= _MOST or self.size_bytes + offer.size_bytes > self._max_bytes:
            _decide(offer, put)
            return
        self._held[id(request)] = _Held(request, offer, put, waits, now_ns)
        self.size_bytes += offer.size_bytes

    def compared(self, request: InferenceRequest, *, disagrees: bool) -> None:
        """Hear what became of a request at one shadow; one that disagrees decides."""
        held = self._held.get(id(request))
        if held is None:
            return
        held.waits -= 1
        if disagrees:
            self._release(held, held.offer._replace(fraction=1.0))
        elif held.waits <= 0:
            self._release(held, held.offer)

    def flush(self) -> None:
        """Decide all by the draw: no shadow answers any more."""
        for held in list(self._held.values()):
            self._release(held, held.offer)

    def _give_up(self, before_ns: int) -> None:
        while self._held and (oldest := next(iter(self._held.values()))).since_ns < before_ns:
            self._release(oldest, oldest.offer)

    def _release(self, held: _Held, offer: Offer) -> None:
        del self._held[id(held.request)]
        self.size_bytes -= held.offer.size_bytes
        _decide(offer, held.put)


def _decide(offer: Offer, put: Put) -> None:
    if offer.fraction:
        put(offer)
