"""How much the peer may send, advertised as what it sent is consumed (RFC 9113, section 5.2)."""


class ReceiveWindow:
    """A window of ours: what arrives closes it, what is consumed opens it again, in steps of half of its size."""

    __slots__ = ("_consumed", "_size", "left")

    def __init__(self, size: int) -> None:
        self.left = size
        """Bytes that may still arrive."""
        self._size = size
        self._consumed = 0

    @property
    def unconsumed(self) -> int:
        """Bytes that are here and were not consumed."""
        return self._size - self.left - self._consumed

    def take(self, size: int) -> bool:
        """Count what has arrived; returns False if it is more than was allowed."""
        self.left -= size
        return self.left >= 0

    def consumed(self, size: int) -> int:
        """Count what was consumed; returns by how much the window should be opened now, mostly 0."""
        self._consumed += size
        if self._consumed * 2 < self._size:
            return 0
        increment, self._consumed = self._consumed, 0
        self.left += increment
        return increment
