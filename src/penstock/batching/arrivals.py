"""How fast rows come in."""

from typing import Final

from penstock.domain.clock import NS_PER_S

_HALF_LIFE_ROWS: Final = 32


class ArrivalRate:
    """The mean gap between rows, over about the last 32 rows or the last second, whichever is shorter."""

    __slots__ = ("_gap_ns", "last_ns")

    def __init__(self) -> None:
        self._gap_ns = float(NS_PER_S)
        self.last_ns = 0
        """When rows came last."""

    def arrived(self, rows: int, now_ns: int) -> None:
        """Count rows that have come since the last call."""
        elapsed_ns = min(now_ns - self.last_ns, NS_PER_S)
        self.last_ns = now_ns
        weight = 1 - 0.5 ** max(rows / _HALF_LIFE_ROWS, elapsed_ns / NS_PER_S)
        self._gap_ns += weight * (elapsed_ns / rows - self._gap_ns)

    def gap_ns(self, now_ns: int) -> float:
        """Return the mean gap in nanoseconds; a silence raises it at once."""
        return max(self._gap_ns, now_ns - self.last_ns)
