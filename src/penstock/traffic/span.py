"""What both arms did during the same span of time."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from penstock.domain.errors import ErrorCode
from penstock.domain.outcome import OUTCOME_OF, Outcome
from penstock.traffic.share import Share

_GATE_OF: Final[Mapping[Outcome, str]] = {
    Outcome.FAILED: "errors",
    Outcome.SHED: "refusals",
    Outcome.EXPIRED: "refusals",
    Outcome.CLIENT_ERROR: "rejections",
}
GATE_OF_STATUS: Final[Mapping[str, str]] = {code.value: _GATE_OF.get(OUTCOME_OF[code], "") for code in ErrorCode}
"""Which gate looks at a status; answers and cancelled predictions belong to none."""


class ArmSpan(NamedTuple):
    """What one arm did."""

    ends: int = 0
    """Predictions that ended, however."""
    bad: Mapping[str, int] = {}
    """Those that were errors, refusals or rejections."""
    times: tuple[int, ...] = ()
    """Their durations, as counts by bucket."""

    def share(self, gate: str) -> Share:
        """Return how many of the predictions count against a gate."""
        return Share(self.bad.get(gate, 0), self.ends)

    def plus(self, more: "ArmSpan") -> "ArmSpan":
        """Return both spans as one."""
        bad = {gate: self.bad.get(gate, 0) + more.bad.get(gate, 0) for gate in {*self.bad, *more.bad}}
        times = self.times and more.times and tuple(map(sum, zip(self.times, more.times, strict=True)))
        return ArmSpan(self.ends + more.ends, bad, times or self.times or more.times)


class Pair(NamedTuple):
    """A number of the canary, and the stable arm's of the same time where it has one."""

    canary: float
    stable: float | None = None


class Span(NamedTuple):
    """Everything that a judge hears of one span."""

    stable: ArmSpan = ArmSpan()
    canary: ArmSpan = ArmSpan()
    disagreement: Share = Share()
    """Answers that a shadow's comparison found to differ."""
    numbers: Mapping[str, Pair] = {}
    """Drift (as "drift") and metrics by their name, where they were measured in this span."""
