"""Gates that compare shares: errors, refusals, rejections, slow requests, disagreement."""

import math
from typing import Final

from penstock.traffic.evidence import Evidence
from penstock.traffic.gate_verdict import ArmShare, Finding, GateVerdict
from penstock.traffic.share import Share

_MOST_SHOWN: Final = 700.0


class ShareJudge:
    """Judges one share: whether the canary's is more than `ratio` times the stable arm's plus `difference`."""

    def __init__(self, name: str, ratio: float, difference: float, alarm: float, *, sticky: bool = False) -> None:
        """`alarm` is the chance that this gate ever breaks although the canary keeps within what is tolerated."""
        self.name: Final = name
        self._ratio = ratio
        self._difference = difference
        self._needed = math.log(1 / alarm)
        self._evidence = Evidence(ratio, difference, sticky=sticky)
        self._stable = Share()
        self._canary = Share()

    def begin_step(self) -> None:
        """Count anew for the intervals; evidence is never lost."""
        self._stable = self._canary = Share()

    def take(self, stable: Share, canary: Share) -> None:
        """Weigh one more span."""
        self._stable = self._stable.plus(stable)
        self._canary = self._canary.plus(canary)
        self._evidence.take(stable, canary)

    @property
    def broken(self) -> bool:
        """Whether the evidence is enough."""
        return self._evidence.log >= self._needed

    def verdict(self, weight: float, max_bad_share: float) -> GateVerdict:
        """Return the gate's word on going on to a weight, in percent."""
        canary, stable = ArmShare.of_share(self._canary), ArmShare.of_share(self._stable)
        excess = canary.high - self._tolerated(stable.low)
        harm = max(0.0, excess) * weight / 100
        if self.broken:
            finding, end = Finding.BROKEN, f"more than the tolerated {self._tolerated(self._stable.value):.3%}"
        elif harm <= max_bad_share:
            finding, end = Finding.PASSED, f"at {weight:g} % no more than {harm:.3%} of all responses can be bad beyond what is tolerated"
        else:
            finding, end = Finding.OPEN, f"at {weight:g} % as many as {harm:.3%} of all responses could be bad, {max_bad_share:.3%} may be"
        return GateVerdict(
            self.name,
            finding,
            f"{self._told()}: {end}",
            canary=canary,
            stable=stable if self._ratio else None,
            evidence=math.exp(min(self._evidence.log, _MOST_SHOWN)),
            needed=math.exp(self._needed),
        )

    def _tolerated(self, stable: float) -> float:
        return self._ratio * stable + self._difference

    def _told(self) -> str:
        canary, stable = self._canary, self._stable
        told = f"{canary.bad} of {canary.of} requests of the canary ({canary.value:.3%})"
        return f"{told}, {stable.bad} of {stable.of} requests of the stable arm ({stable.value:.3%})" if self._ratio else told
