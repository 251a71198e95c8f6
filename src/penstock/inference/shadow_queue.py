"""What waits for one version to run as a shadow, and what became of it."""

from collections import Counter, deque
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Protocol

from penstock.domain.names import is_version_number
from penstock.domain.request import InferenceRequest
from penstock.inference.shadow_pair import ShadowPair
from penstock.traffic.comparison import Comparison
from penstock.traffic.tally import Counts, Measure


class ShadowEnd(StrEnum):
    """What became of a request that was to be shadowed: one of these, once."""

    COMPARED = "compared"
    """The shadow answered, and its answer was compared."""
    REFUSED = "refused"
    """The shadow does not take such a request."""
    FAILED = "failed"
    """The shadow's run failed."""
    TIMEOUT = "timeout"
    """The shadow's run was ended, for it had taken too long."""
    BUSY = "busy"
    """Dropped: the event loop has enough to do with predictions."""
    FULL = "full"
    """Dropped: too many bytes wait."""
    YIELDED = "yielded"
    """Dropped: predictions wanted the device whenever it was tried."""
    NOT_READY = "not_ready"
    """Dropped: the shadow version takes no requests."""
    DRAINED = "drained"
    """Dropped: the server shuts down."""
    REMOVED = "removed"
    """Dropped: the route has no such shadow any more."""


class HeldBytes:
    """What all queues hold together, and the most that they may."""

    def __init__(self, most: int) -> None:
        self.most: Final = most
        self.held = 0
        self.queues = 0
        """Queues that share it, in equal parts: a slow shadow leaves the others theirs."""


class Told(Protocol):
    """Who hears what became of each request that was to be shadowed."""

    def __call__(self, request: InferenceRequest, *, disagrees: bool) -> None:
        """Hear that a shadow disagrees, or that it does not, or never will be asked."""


def _untold(request: InferenceRequest, *, disagrees: bool) -> None:
    """Tell nobody."""


class ShadowQueue:
    """The pairs of one version, and counters. Lives on the event loop."""

    def __init__(self, model: str, reference: str, held: HeldBytes, *, again: bool = False, tell: Told = _untold) -> None:
        """`again` is for runs on the version that answered: it has a part of the memory only while it holds any."""
        self.model: Final = model
        self.reference: Final = reference
        """A number or an alias, as the route has it."""
        self.again: Final = again
        self.number = reference if is_version_number(reference) else ""
        """The version that the reference named last; "" before any was ready."""
        self.sampled = 0
        self.ends: Final[Counter[tuple[str, ShadowEnd]]] = Counter()
        """Requests by the number of the version, and by what became of them."""
        self.compared: Final[Counter[tuple[str, Measure]]] = Counter()
        self.mismatched: Final[Counter[tuple[str, Measure]]] = Counter()
        """Requests that were compared, and that differ, by the number of the version and by measure."""
        self.device_ns: Final[Counter[str]] = Counter()
        """Time that its turns took, comparisons included, by the number of the version."""
        self.size_bytes = 0
        self.last_error = ""
        self.hangs_since: float | None = None
        """When the run began, in seconds since the epoch, that was told to end and has not; None if there is none."""
        self.comparisons: Final[list[Comparison]] = []
        """The latest, by the versions that were compared."""
        self._held = held
        self._tell = tell
        self._pairs: deque[ShadowPair] = deque()
        self._gone = False
        held.queues += not again

    def __len__(self) -> int:
        return len(self._pairs)

    def offer(self, pair: ShadowPair) -> None:
        """Let a pair wait, or drop it."""
        self.sampled += 1
        if self._gone:
            self._drop(pair, ShadowEnd.REMOVED)
            return
        held = self._held
        if held.held + pair.size_bytes > held.most or self.size_bytes + pair.size_bytes > held.most // max(1, held.queues):
            self._drop(pair, ShadowEnd.FULL)
            return
        self._pairs.append(pair)
        self._hold(pair.size_bytes)

    def skip(self, end: ShadowEnd) -> None:
        """Drop a request before anything was kept of it."""
        self.sampled += 1
        self._end(end)

    def take(self, most: int) -> list[ShadowPair]:
        """Return the pairs of a turn, which are held on until they are `settled` or put back."""
        return [self._pairs.popleft() for _ in range(min(most, len(self._pairs)))]

    def put_back(self, pairs: Iterable[ShadowPair]) -> None:
        """Let pairs go first that a turn has left over; where nobody will come for them any more they end."""
        if self._gone:
            self.settled(pairs, ShadowEnd.REMOVED)
        else:
            self._pairs.extendleft(reversed(list(pairs)))

    def settled(self, pairs: Iterable[ShadowPair], end: ShadowEnd) -> None:
        """Forget pairs of a turn."""
        for pair in pairs:
            self._drop(pair, end)
            self._hold(-pair.size_bytes)

    def drop(self, end: ShadowEnd) -> None:
        """Forget all that waits."""
        self.settled(self.take(len(self)), end)

    def count(self, counts: Counts) -> None:
        """Add what a turn has found."""
        self.compared.update({(self.number, measure): count for measure, count in counts.compared.items()})
        self.mismatched.update({(self.number, measure): count for measure, count in counts.mismatched.items()})

    def leave(self) -> None:
        """Give its part of the memory to the others. Requests that are still under way come too late from now on."""
        self._gone = True
        self._held.queues -= not self.again

    def _drop(self, pair: ShadowPair, end: ShadowEnd) -> None:
        self._end(end)
        self._tell(pair.request, disagrees=pair.disagrees)

    def _end(self, end: ShadowEnd) -> None:
        self.ends[self.number, end] += 1

    def _hold(self, size_bytes: int) -> None:
        before, self.size_bytes = self.size_bytes, self.size_bytes + size_bytes
        self._held.held += size_bytes
        if self.again:
            self._held.queues += bool(self.size_bytes) - bool(before)
