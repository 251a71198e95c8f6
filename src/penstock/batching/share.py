"""One device among the versions that run on it: fair in device seconds."""

from collections.abc import Callable
from typing import Final


class Tenant:
    """A version's claim on a device."""

    __slots__ = ("_ahead_ns", "_share", "wake", "weight")

    def __init__(self, share: "DeviceShare", wake: Callable[[], None], weight: float) -> None:
        self.wake = wake
        """Called when a slot has become free that this version may want."""
        self.weight = weight
        self._share = share
        self._ahead_ns = 0.0

    @property
    def device(self) -> "DeviceShare":
        """The device that the claim is on."""
        return self._share

    @property
    def elsewhere(self) -> int:
        """How many other versions wait for the device."""
        return len(self._share.waiting) - (self in self._share.waiting)

    def may_start(self, waited_ns: int = 0) -> bool:
        """Tell whether the version may start a run now; if not, it is woken later.

        What its first row has waited is taken off its account: it bounds the wait of a version that always has work, and changes no share
        in the long run, since the wait is bounded too.
        """
        return self._share.grant(self, max(self._ahead_ns, self._share.now_ns) - waited_ns)

    def started(self, expected_ns: int) -> None:
        """Take a slot for a run that is expected to last so long."""
        self._ahead_ns = self._share.take(self._ahead_ns) + expected_ns / self.weight

    def ended(self, expected_ns: int, actual_ns: int) -> None:
        """Give the slot back; the estimate is corrected by what the run took."""
        self._ahead_ns += (actual_ns - expected_ns) / self.weight
        self._share.release()

    def rest(self) -> None:
        """Want nothing for now."""
        self._share.waiting.pop(self, None)

    def leave(self) -> None:
        """Give up the claim; the version is unloaded."""
        self.rest()
        self._share.tenants.discard(self)
        self.wake = _nobody  # the version's scheduler knows this claim: a cycle would keep its sessions until the garbage collector comes


def _nobody() -> None:
    """Wake nobody."""


class DeviceShare:
    """Start-time fair queueing over runs (Goyal, Vin and Cheng, SIGCOMM 1996): the version that has had the least goes first.

    A version that was idle starts from the present, so that it cannot save its share up.
    """

    def __init__(self, slots: int) -> None:
        """`slots` is how many runs may be under way on the device at once."""
        self.slots: Final = slots
        self.free = slots
        self.tenants: set[Tenant] = set()
        self.waiting: dict[Tenant, float] = {}
        """Versions that were refused a slot, with what orders them."""
        self.now_ns = 0.0
        """Virtual time: when the run that started last began, by its version's account."""
        self.on_taken: Callable[[], None] | None = None
        """Called after a run has taken a slot: whoever used the device beside those who have a claim makes way."""

    def join(self, wake: Callable[[], None], weight: float = 1.0) -> Tenant:
        """Return a new version's claim."""
        tenant = Tenant(self, wake, weight)
        self.tenants.add(tenant)
        return tenant

    def grant(self, tenant: Tenant, rank_ns: float) -> bool:
        """Tell whether fewer versions are before this one than slots are free."""
        before = sum(other_ns < rank_ns for other, other_ns in self.waiting.items() if other is not tenant)
        if before < self.free:
            self.waiting.pop(tenant, None)
            return True
        self.waiting[tenant] = rank_ns
        return False

    def take(self, ahead_ns: float) -> float:
        """Take a slot, and return the instant of virtual time at which its run starts."""
        self.free -= 1
        self.now_ns = max(self.now_ns, ahead_ns)
        if self.on_taken is not None:
            self.on_taken()
        return self.now_ns

    def release(self) -> None:
        """Free a slot and wake those who want it, the first first."""
        self.free += 1
        for tenant, _ in sorted(self.waiting.items(), key=lambda entry: entry[1]):
            tenant.wake()
