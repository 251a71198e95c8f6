"""What a gate says of the canary, with the numbers behind it."""

from enum import StrEnum

import msgspec

from penstock.traffic.share import Share, interval

_MISS = 0.05


class Finding(StrEnum):
    """What a gate may find."""

    BROKEN = "broken"
    """Worse than tolerated, beyond the chance that was allowed for an error."""
    PASSED = "passed"
    """The numbers rule out more harm than the next step may do."""
    OPEN = "open"
    """Too little is known."""


class ArmShare(msgspec.Struct, frozen=True):
    """A share of one arm in this step, and where the share behind it lies: a 95 % interval that holds at every look."""

    bad: int
    of: int
    low: float
    high: float

    @classmethod
    def of_share(cls, share: Share) -> "ArmShare":
        """Return a share with its interval."""
        low, high = interval(share, _MISS)
        return cls(share.bad, share.of, low, high)


class GateVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """One gate's word."""

    gate: str
    finding: Finding
    why: str
    """The finding in words, with its numbers."""
    canary: ArmShare | None = None
    stable: ArmShare | None = None
    slower_than_ms: tuple[float, float] | None = None
    """Of the latency gate: what counts as slow in the stable arm, and in the canary's."""
    evidence: float | None = None
    """How much likelier the numbers are if the canary is worse than tolerated; `needed` breaks the gate."""
    needed: float | None = None
    value: float | None = None
    """Of a gate of a number: the canary's at the last look."""
    reference: float | None = None
    """The stable arm's."""
