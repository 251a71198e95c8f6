"""The gate of the p99, or of another quantile.

"The canary's p99 is at most r times the stable arm's" says: no more of the canary's requests are slower than r x than there are requests
of the stable arm slower than x, where x is the stable arm's p99. Those two shares are compared, in the same span, as errors are. The p99
of what is known already only chooses x, so nothing is assumed of the shape of the times, and load that slows both arms is no alarm.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import msgspec

from penstock.domain.clock import NS_PER_MS
from penstock.traffic.gate_verdict import GateVerdict
from penstock.traffic.plan import LatencyGate
from penstock.traffic.share import Share
from penstock.traffic.share_gate import ShareJudge
from penstock.traffic.span import ArmSpan

_KNOWN: Final = 200


class LatencyJudge:
    """Judges durations that were counted by bucket."""

    def __init__(self, gate: LatencyGate, alarm: float, edges_ns: Sequence[int], *, sticky: bool = False) -> None:
        """`edges_ns` are the upper bounds of the buckets; above the last one there is one more bucket."""
        self.name: Final = "latency"
        self._gate = gate
        self._edges = edges_ns
        self._shares = ShareJudge(self.name, 1.0, gate.difference, alarm, sticky=sticky)
        self._known = [0] * (len(edges_ns) + 1)
        self._slow: tuple[int, int] | None = None
        """The edges above which a request of the stable arm, and of the canary, is slow."""

    def begin_step(self) -> None:
        """Count anew for the intervals, and let the p99 of the new step choose what is slow."""
        self._shares.begin_step()
        self._known = [0] * len(self._known)

    def take(self, stable: ArmSpan, canary: ArmSpan) -> None:
        """Weigh one more span, by what was known before it."""
        if self._slow is not None:
            self._shares.take(_above(stable.times, self._slow[0]), _above(canary.times, self._slow[1]))
        self._known = [before + more for before, more in zip(self._known, stable.times, strict=True)]
        if sum(self._known) >= _KNOWN:
            self._slow = self._chosen()

    @property
    def _name(self) -> str:
        return f"p{self._gate.quantile * 100:g}"

    @property
    def broken(self) -> bool:
        """Whether the evidence is enough."""
        return self._shares.broken

    def verdict(self, weight: float, max_bad_share: float) -> GateVerdict:
        """Return the gate's word on going on to a weight, in percent."""
        verdict = self._shares.verdict(weight, max_bad_share)
        if self._slow is None:
            return msgspec.structs.replace(verdict, why=f"the stable arm has not ended {_KNOWN} requests yet, which its {self._name} takes")
        at, canary_at = (self._edges[edge] / NS_PER_MS for edge in self._slow)
        why = f"slower than {canary_at:.3g} ms (stable arm: than its {self._name} of {at:.3g} ms) were {verdict.why}"
        return msgspec.structs.replace(verdict, why=why, slower_than_ms=(at, canary_at))

    def _chosen(self) -> tuple[int, int] | None:
        total = sum(self._known)
        top = len(self._edges) - 1
        edge = next((place for place, seen in enumerate(accumulate(self._known)) if seen >= self._gate.quantile * total), top)
        if edge >= top:
            return None
        at = self._edges[edge]
        tolerated = max(at * self._gate.ratio, at + self._gate.least_ms * NS_PER_MS)
        return edge, min(bisect_left(self._edges, tolerated), top)


def _above(times: Sequence[int], edge: int) -> Share:
    return Share(sum(times[edge + 1 :]), sum(times))
