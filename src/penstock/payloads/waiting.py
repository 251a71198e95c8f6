"""Files that wait for a destination elsewhere: in order, within a size, between the writer and the courier."""

import contextlib
import threading
from collections import deque
from pathlib import Path
from typing import Final

from penstock.payloads.backlog import Backlog

FULL: Final = "buffer_full"


class Block:
    """Rows in one file."""

    __slots__ = ("path", "rows", "size_bytes")

    def __init__(self, path: Path, rows: int = 0, size_bytes: int = 0) -> None:
        self.path = path
        self.rows = rows
        self.size_bytes = size_bytes


class Waiting:
    """Filled by the writer, emptied by the courier. The lock between them is held for no longer than a write to the disk takes."""

    def __init__(self, most_bytes: int, backlog: Backlog) -> None:
        self.most_bytes: Final = most_bytes
        self.last: Block | None = None
        """The block that was added last, as long as it may grow: not if it was taken."""
        self._backlog = backlog
        self._blocks: deque[Block] = deque()
        self.lock: Final = threading.RLock()

    def add(self, block: Block) -> None:
        """Have a block wait."""
        with self.lock:
            self._blocks.append(block)
            self.last = block
            self._backlog.size_bytes += block.size_bytes

    def take(self) -> Block | None:
        """Return the oldest block, which is the caller's until it is `done` with; None if there is none."""
        with self.lock:
            return self._popped() if self._blocks else None

    def done(self, block: Block) -> None:
        """Remove a block that was taken."""
        _remove(block)
        with self.lock:
            self._backlog.size_bytes -= block.size_bytes

    def grow(self, block: Block, rows: int, size_bytes: int) -> None:
        """Count what was appended to the last block."""
        with self.lock:
            block.rows += rows
            block.size_bytes += size_bytes
            self._backlog.size_bytes += size_bytes

    def make_room(self, size_bytes: int = 0) -> bool:
        """Drop the oldest blocks until so many bytes fit too; returns whether they do. What is being sent is not dropped."""
        if size_bytes > self.most_bytes:
            return False
        with self.lock:
            while self._backlog.size_bytes + size_bytes > self.most_bytes and self._blocks:
                block = self._popped()
                self._backlog.overflowed[FULL] += block.rows
                self._backlog.size_bytes -= block.size_bytes
                _remove(block)
            return self._backlog.size_bytes + size_bytes <= self.most_bytes

    def _popped(self) -> Block:
        block = self._blocks.popleft()
        if block is self.last:
            self.last = None
        return block


def _remove(block: Block) -> None:
    with contextlib.suppress(OSError):  # somebody has removed it; its rows are accounted for
        block.path.unlink()
