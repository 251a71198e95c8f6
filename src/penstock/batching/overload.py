"""The safety net under a wrong prediction: notice a queue that does not empty, whatever the model says."""

from typing import Final

from penstock.domain.clock import NS_PER_MS

_INTERVAL_NS: Final = 100 * NS_PER_MS


class Overload:
    """Tells a standing queue from a burst by the least delay of an interval (CoDel; Nichols and Jacobson, ACM Queue 2012; RFC 8289).

    A burst empties within the interval, so somebody waits little; in a standing queue nobody does.
    """

    __slots__ = ("_ends_ns", "_least_ns", "_target_ns", "active")

    def __init__(self, target_ns: int) -> None:
        self.active = False
        """Whether every run of the last interval began with a row that had waited for longer than the target."""
        self._target_ns = target_ns
        self._ends_ns = 0
        self._least_ns = 0

    def waited(self, delay_ns: int, now_ns: int) -> None:
        """Hear how long the first row of a run has waited."""
        if now_ns >= self._ends_ns:
            self.active = self._ends_ns > 0 and self._least_ns > self._target_ns
            self._ends_ns, self._least_ns = now_ns + _INTERVAL_NS, delay_ns
        elif delay_ns < self._least_ns:
            self._least_ns = delay_ns

    def emptied(self) -> None:
        """Hear that nothing waits any more."""
        self.active = False
        self._least_ns = 0
