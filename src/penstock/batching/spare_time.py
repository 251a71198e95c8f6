"""The time of a device that no prediction wants, and runs that are nobody's hurry."""

from typing import Final

from penstock.batching.share import DeviceShare
from penstock.domain.clock import NS_PER_S
from penstock.domain.halt import Halt

_SAVED_S: Final = 1.0
"""Time that may be saved up: a device that was left alone owes no more than a second of its budget."""


class SpareTime:
    """Lets one run at a time have what predictions leave over, within a budget, and ends it as soon as they want the device.

    Such a run takes no slot: predictions never wait for one that it has. It begins only while few of theirs run, none on a device of two
    slots, so that the cores which answer requests are left alone; and the first that makes the device crowded ends it.
    """

    def __init__(self, share: DeviceShare, part: float) -> None:
        """`part` is the budget: which part of the time may be used."""
        share.on_taken = self._taken
        self._share = share
        self._part = part
        self._most_busy = max(0, share.slots // 2 - 1)
        self._left_ns = 0.0
        self._counted_ns = 0
        self._halt: Halt | None = None

    @property
    def taken(self) -> bool:
        """Whether a run has the time now."""
        return self._halt is not None

    def begin(self, now_ns: int) -> Halt | None:
        """Return what will end the run that begins now; None if none may."""
        self._save(now_ns)
        if self._halt is not None or self._left_ns < 0 or self._crowded:
            return None
        self._halt = Halt()
        return self._halt

    def end(self, took_ns: int, now_ns: int) -> None:
        """Charge the run that has ended."""
        self._save(now_ns)
        self._left_ns -= took_ns
        self._halt = None

    def _taken(self) -> None:
        if self._halt is not None and self._crowded and not self._halt.asked:
            self._halt.ask()

    @property
    def _crowded(self) -> bool:
        share = self._share
        return bool(share.waiting) or share.slots - share.free > self._most_busy

    def _save(self, now_ns: int) -> None:
        """Save up the budget of the time that has passed."""
        passed_ns = now_ns - self._counted_ns if self._counted_ns else 0
        self._left_ns = min(self._left_ns + passed_ns * self._part, _SAVED_S * NS_PER_S * self._part)
        self._counted_ns = now_ns
