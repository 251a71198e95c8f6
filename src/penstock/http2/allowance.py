"""How often a peer may do what costs us more than it costs the peer."""

from penstock.http2.errors import Code, ConnectionFault


class Allowance:
    """Is spent by each such act, and earned again by work that gets done or by time that passes."""

    __slots__ = ("_full", "_left", "_what")

    def __init__(self, full: int, what: str) -> None:
        self._full = self._left = full
        self._what = what

    def spend(self) -> None:
        """Count one act; raises `ConnectionFault` if that is one too many."""
        self._left -= 1
        if self._left < 0:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, f"too many {self._what}")

    def earn(self) -> None:
        """Allow one more."""
        if self._left < self._full:
            self._left += 1

    def refill(self) -> None:
        """Forget what was spent."""
        self._left = self._full
