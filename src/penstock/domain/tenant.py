"""What the keys of one name use together, and how much of it they may."""

from typing import Final

from penstock.domain.clock import NS_PER_S
from penstock.domain.errors import QuotaExceeded
from penstock.domain.names import shown

_ENDLESS: Final = 1 << 62


class Allowance:
    """What a key says of how much its tenant may ask for; 0 says nothing."""

    __slots__ = ("burst", "interval_ns", "max_in_flight", "most", "rate", "slack_ns")

    def __init__(self, rate: float = 0.0, burst: float = 0.0, max_in_flight: int = 0) -> None:
        """`rate` predictions per second, `burst` of them at once (0: as many as a second allows), and so many under way."""
        self.rate: Final = rate
        self.burst: Final = burst
        self.max_in_flight: Final = max_in_flight
        self.most: Final = max_in_flight or _ENDLESS
        self.interval_ns: Final = int(NS_PER_S / rate) if rate else 0
        self.slack_ns: Final = int(self.interval_ns * (max(1.0, burst or rate) - 1.0)) if rate else _ENDLESS
        """By how much what was admitted may be ahead of its time."""

    @property
    def bounds(self) -> bool:
        """Whether it says anything."""
        return bool(self.rate or self.max_in_flight)


class Tenant:
    """One name, whichever of its keys a call came with; it outlives each of them. Lives on the event loop."""

    __slots__ = ("__weakref__", "_due_ns", "in_flight", "name", "weight")

    def __init__(self, name: str, weight: float = 1.0) -> None:
        self.name: Final = name
        self.weight = weight
        """Its part of a queue that others wait in too, against theirs."""
        self.in_flight = 0
        """Predictions that have been received and have not ended; the ledger counts them."""
        self._due_ns = 0

    def admit(self, allowance: Allowance, now_ns: int) -> None:
        """Count one more prediction, which `in_flight` holds already; raises `QuotaExceeded` with the time to come back.

        The rate is kept by one instant: when all that was admitted would be due (ITU-T I.371, the generic cell rate algorithm).
        """
        if self.in_flight > allowance.most:
            raise QuotaExceeded(
                f"{shown(self.name)} has {allowance.most} predictions under way, the most that it may have; wait for their answers",
                retry_after_s=1.0,
            )
        due_ns = self._due_ns
        if due_ns < now_ns:
            due_ns = now_ns
        elif due_ns - now_ns > allowance.slack_ns:
            raise QuotaExceeded(
                f"{shown(self.name)} asks for more than the {allowance.rate:g} predictions per second that it may have; slow down",
                retry_after_s=(due_ns - now_ns - allowance.slack_ns) / NS_PER_S,
            )
        self._due_ns = due_ns + allowance.interval_ns
