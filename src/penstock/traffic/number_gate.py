"""Gates of numbers whose distribution nobody knows: metrics by name, drift."""

import math
from typing import Final

from penstock.traffic.gate_verdict import Finding, GateVerdict
from penstock.traffic.plan import NumberGate
from penstock.traffic.span import Pair


class NumberJudge:
    """Breaks once the number was over its limit in so many looks in a row. Says nothing of how often that happens by chance."""

    def __init__(self, name: str, gate: NumberGate) -> None:
        self.name: Final = name
        self._gate = gate
        self._over = 0
        self._last: Pair | None = None

    def take(self, pair: Pair | None) -> None:
        """Look at the number; None where it was not measured in this span."""
        limit = None if pair is None else self._limit(pair)
        if pair is None or limit is None or not math.isfinite(limit):  # nothing is over a limit beyond all numbers
            return
        self._last = pair
        self._over = self._over + 1 if pair.canary > limit else 0

    @property
    def broken(self) -> bool:
        """Whether it was over the limit for long enough."""
        return self._over >= self._gate.looks

    def verdict(self) -> GateVerdict:
        """Return the gate's word."""
        if self._last is None:
            return GateVerdict(self.name, Finding.OPEN, "it has not been measured yet in both arms")
        told = f"{self._last.canary:.4g} where {self._limit(self._last):.4g} is tolerated"
        if self._over:
            told += f", over it in {self._over} of {self._gate.looks} looks in a row"
        finding = Finding.BROKEN if self.broken else Finding.OPEN if self._over else Finding.PASSED
        return GateVerdict(self.name, finding, told, value=self._last.canary, reference=self._last.stable)

    def _limit(self, pair: Pair) -> float | None:
        if self._gate.max is not None:
            return self._gate.max
        if pair.stable is None:
            return None
        return pair.stable * self._gate.ratio if self._gate.ratio is not None else pair.stable + (self._gate.difference or 0.0)
