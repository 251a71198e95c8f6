"""What the keys of one name use together, and how much of it they may."""

from typing import Final, NamedTuple

from penstock.domain.clock import NS_PER_S
from penstock.domain.errors import QuotaExceeded
from penstock.domain.names import shown


class Allowance(NamedTuple):
    """What a key says of how much its tenant may ask for; None and 0 say nothing."""

    rate: float = 0.0
    """Predictions per second, in the long run."""
    burst: float = 0.0
    """Predictions that may come at once; 0 for as many as a second allows, at least one."""
    max_in_flight: int = 0
    """Predictions that may be under way."""


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
        """Count one more prediction, which `in_flight` holds already; raises `QuotaExceeded` with the time to come back."""
        most = allowance.max_in_flight
        if most and self.in_flight > most:
            raise QuotaExceeded(
                f"{shown(self.name)} has {most} predictions under way, the most that it may have; wait for their answers", retry_after_s=1.0
            )
        if allowance.rate:
            self._pace(allowance, now_ns)

    def _pace(self, allowance: Allowance, now_ns: int) -> None:
        """Keep to the rate by one instant: when all that was admitted would be due (ITU-T I.371, the generic cell rate algorithm)."""
        interval_ns = NS_PER_S / allowance.rate
        due_ns = max(self._due_ns, now_ns)
        early_ns = due_ns - now_ns - interval_ns * (max(1.0, allowance.burst or allowance.rate) - 1.0)
        if early_ns > 1:
            raise QuotaExceeded(
                f"{shown(self.name)} asks for more than the {allowance.rate:g} predictions per second that it may have; slow down",
                retry_after_s=early_ns / NS_PER_S,
            )
        self._due_ns = int(due_ns + interval_ns)
