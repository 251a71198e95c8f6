"""Judges a canary by all gates of a plan, span by span.

Every gate of a share is a test of its own that may be looked at all the time (`evidence.py`); the chance of a false alarm in the whole
rollout is split evenly among them. It need not be split among steps too: evidence multiplies from one step to the next.
"""

from collections.abc import Sequence
from typing import Final

from penstock.traffic.gate_verdict import Finding, GateVerdict
from penstock.traffic.latency_gate import LatencyJudge
from penstock.traffic.number_gate import NumberJudge
from penstock.traffic.plan import Gates
from penstock.traffic.share import Share
from penstock.traffic.share_gate import ShareJudge
from penstock.traffic.span import ArmSpan, Span

_SHARES: Final = ("errors", "refusals", "rejections")


class Judge:
    """Hears what both arms did, and says whether the canary may go on. No clock, no I/O."""

    def __init__(self, gates: Gates, edges_ns: Sequence[int], *, sticky: bool = False) -> None:
        """`edges_ns` are the edges of the buckets in which durations are counted; `sticky` tells of the route."""
        self._gates = gates
        shares = [(name, gate) for name in _SHARES if (gate := getattr(gates, name)) is not None]
        alarm = gates.false_alarms / max(1, len(shares) + (gates.latency is not None) + (gates.disagreement is not None))
        self._shares = [ShareJudge(name, gate.ratio, gate.difference, alarm, sticky=sticky) for name, gate in shares]
        self._latency = [] if gates.latency is None else [LatencyJudge(gates.latency, alarm, edges_ns, sticky=sticky)]
        self._disagreement = [] if gates.disagreement is None else [ShareJudge("disagreement", 0.0, gates.disagreement.max, alarm)]
        self._numbers = [NumberJudge(gate.name, gate) for gate in gates.metrics]
        if gates.drift is not None:
            self._numbers.append(NumberJudge("drift", gates.drift))
        self._waiting = _NOTHING
        self._ends = 0

    def begin_step(self) -> None:
        """Ask anew for enough requests: the next step has another weight."""
        self._ends = 0
        for judge in self._judges_of_shares():
            judge.begin_step()

    def take(self, span: Span) -> None:
        """Hear of one more span; it is weighed once both arms have ended requests, together with those before it that were not."""
        for number in self._numbers:
            number.take(span.numbers.get(number.name))
        for share in self._disagreement:
            share.take(Share(), span.disagreement)
        stable, canary = self._waiting[0].plus(span.stable), self._waiting[1].plus(span.canary)
        if not (stable.ends and canary.ends):
            self._waiting = stable, canary
            return
        self._waiting = _NOTHING
        self._weigh(stable, canary)

    def _weigh(self, stable: ArmSpan, canary: ArmSpan) -> None:
        self._ends += canary.ends
        for share in self._shares:
            share.take(stable.share(share.name), canary.share(share.name))
        for latency in self._latency:
            latency.take(stable, canary)

    def broken(self, weight: float) -> str:
        """Return why the canary must go back at once, "" if it need not."""
        if not any(judge.broken for judge in (*self._judges_of_shares(), *self._numbers)):
            return ""
        return "; ".join(f"{verdict.gate}: {verdict.why}" for verdict in self.verdicts(weight) if verdict.finding is Finding.BROKEN)

    def missing(self, weight: float) -> str:
        """Return what has to be known before the canary may get a weight, in percent, "" if nothing."""
        least = self._gates.min_requests
        if self._ends < least:
            return f"the canary has ended {self._ends} of at least {least} requests in this step"
        still_open = [verdict for verdict in self.verdicts(weight) if verdict.finding is Finding.OPEN]
        if not still_open:
            return ""
        first, *others = still_open
        return f"{first.gate}: {first.why}" + (f"; open too: {', '.join(verdict.gate for verdict in others)}" if others else "")

    def verdicts(self, weight: float) -> tuple[GateVerdict, ...]:
        """Return each gate's word on going on to a weight, in percent."""
        bound = self._gates.max_bad_share
        shares = [judge.verdict(weight, bound) for judge in self._judges_of_shares()]
        return *shares, *(judge.verdict() for judge in self._numbers)

    def _judges_of_shares(self) -> Sequence[ShareJudge | LatencyJudge]:
        return *self._shares, *self._latency, *self._disagreement


_NOTHING: Final = (ArmSpan(), ArmSpan())
