"""How long runs may be beside a quiet party. A run that has begun is not broken off: a newcomer waits for it, then for its own.

How much one party has waiting is no other's concern, since parties take turns. How long runs take is everybody's, and a party that asks for
a lot fills every run up. Short runs cost throughput, so they are had only where nobody is refused for their sake.
"""

from bisect import bisect_left
from typing import Final

from penstock.batching.lane_kind import LaneKind
from penstock.batching.queues import Queues
from penstock.batching.speed import Speed

_SHORT: Final = 0.6
"""The share of a full batch's throughput that short runs keep at least."""
_ALIKE: Final = 1.5
"""A run that takes no longer than so many runs of one row is short, however many rows it has."""
_BEARABLE: Final = 0.25
_CREDIT: Final = 0.5
"""Parts of the target: what may wait in short runs, and by how much a quiet party may be ahead."""
_REMEMBERED_RUNS: Final = 64


class Courtesy:
    """Shortens runs while a party is there that asks for less than its part, and lets that party go first."""

    def __init__(self, queues: Queues, slo_ns: int) -> None:
        self.queues: Final = queues
        self._slo_ns = slo_ns
        self._refused = self._served = self._runs = 0

    def refused(self, cost: int) -> None:
        """Hear that a party has asked for more than there is room for."""
        self._refused += cost

    def served(self, cost: int) -> None:
        """Hear of a run that starts; what is long past weighs little."""
        self._served += cost
        self._runs += 1
        if self._runs == _REMEMBERED_RUNS:
            self._refused, self._served, self._runs = self._refused // 2, self._served // 2, 0

    def rows(self, kind: LaneKind, full: int, length: int) -> int:
        """Return the rows of a run while there is a quiet party: those of a full batch, or fewer for its sake."""
        if kind.latency.cold:
            return full
        speed = kind.speed(length)
        short = _short(speed, full)
        each_ns = max(1.0, speed.expect(short) / (short * length * kind.count))
        self.queues.credit = _CREDIT * self._slo_ns / each_ns
        return max(short, self._quiet_rows(full, length)) if self._bearable(each_ns) else full

    def _quiet_rows(self, full: int, length: int) -> int:
        """Return how many rows the parties have that could not fill half a batch: these need not wait for another run, up to a full one."""
        cost = sum([part.cost for part in self.queues.backlog.parts.values() if 2 * part.cost <= full * length])
        return min(full, cost // length)

    def _bearable(self, each_ns: float) -> bool:
        """Tell whether nobody is refused for it: what waits ends well within the target, or far more is refused than short runs cost."""
        if self._refused:
            return _SHORT * (self._refused + self._served) > self._served
        return self.queues.backlog.cost * each_ns <= _BEARABLE * self._slo_ns


def _short(speed: Speed, full: int) -> int:
    """Return the rows of a short run."""
    least = _SHORT * full / max(1, speed.expect(full))
    dear = bisect_left(range(1, full + 1), least, key=lambda rows: rows / max(1, speed.expect(rows))) + 1
    return max(dear, speed.rows_within(_ALIKE * speed.expect(1), full))
