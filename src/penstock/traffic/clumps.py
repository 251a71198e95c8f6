"""How much bad ends come in clumps, by the stable arm: a stall makes many requests slow at once, and proves no more than one would.

Independent ends scatter from span to span as a binomial does. Where they scatter more, by the factor f at n ends a span, the ends of a
span are alike by (f - 1) / (n - 1), and m ends of the canary weigh as m / (1 + (m - 1) alike) do: the design effect of Kish, "Survey
Sampling", 1965. A sticky route sends all requests of a key to one arm, so the canary's clumps may be as large as the stable arm's, and
its ends weigh as m / f do. Evidence taken to the power of 1/effect keeps what it promises, because the effect is at least 1.
"""

from typing import Final

from penstock.traffic.share import Share

_PRIOR_SPANS: Final = 3.0
_STICKY_PRIOR: Final = 10.0
"""What is taken for the scatter of a sticky route until its stable arm has shown its own."""


class Clumps:
    """Compares each span of the stable arm with the one before, so that slow changes do not look like clumps."""

    def __init__(self, *, sticky: bool) -> None:
        self._sticky = sticky
        self._all = Share()
        self._last = Share()
        self._scatter = _PRIOR_SPANS * (_STICKY_PRIOR if sticky else 1.0)
        self._spans = _PRIOR_SPANS

    def take(self, stable: Share) -> None:
        """Learn from one more span."""
        self._all = self._all.plus(stable)
        expected = self._all.value
        if self._last.of and stable.of and 0 < expected < 1:
            noise = expected * (1 - expected) * (1 / self._last.of + 1 / stable.of)
            self._scatter += (stable.value - self._last.value) ** 2 / noise
            self._spans += 1
        self._last = stable

    def effect(self, ends: int) -> float:
        """Return by how much so many ends of one span prove less than independent ones, 1 or more."""
        excess = max(0.0, self._scatter / self._spans - 1)
        further = max(0, ends - 1)
        if self._sticky:
            return 1 + min(excess, further)
        size = self._all.of / max(1.0, self._spans - _PRIOR_SPANS)
        alike = min(1.0, excess / (size - 1)) if size > 1 else 0.0
        return 1 + further * alike
