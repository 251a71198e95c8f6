"""What was deleted since somebody last looked: for those who hold rows that nobody else may touch."""

from collections.abc import Callable
from pathlib import Path

from penstock.payloads.tombstones import Tombstones, state_of


class DeletionNews:
    """The list of deletions of a directory, looked at again and again: one look costs microseconds. Blocks."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: tuple[int, ...] | None = None

    def heed(self, act: Callable[[Tombstones], object]) -> None:
        """Have the deletions acted upon if there are any that were not; they were not if that raises. Raises `OSError`."""
        state = state_of(self._root)
        if state != self._seen:
            act(Tombstones.of(self._root))
            self._seen = state
