"""Files that wait for a destination elsewhere: in order, within a size, between the writer and the courier."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from penstock.payloads.backlog import Backlog
from penstock.payloads.options import PayloadOptions
from penstock.payloads.retention import DAY_S

FULL: Final = "buffer_full"
OLD: Final = "too_old"
DELETED: Final = "deleted"


class Limits(NamedTuple):
    """What may wait."""

    most_bytes: int
    longest_s: float
    """What was added to last so many seconds ago is not kept any longer."""

    @classmethod
    def of(cls, options: PayloadOptions) -> "Limits":
        """Return the limits that the options give."""
        return cls(options.buffer_bytes, options.keep_days * DAY_S)


class Block:
    """Rows in one file."""

    __slots__ = ("path", "rows", "size_bytes")

    def __init__(self, path: Path, rows: int = 0, size_bytes: int = 0) -> None:
        self.path = path
        self.rows = rows
        self.size_bytes = size_bytes


class Waiting:
    """Filled by the writer, emptied by the courier. The lock between them is held for no longer than a write to the disk takes."""

    def __init__(self, limits: Limits, backlog: Backlog) -> None:
        self._limits = limits
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
        if size_bytes > self._limits.most_bytes:
            return False
        with self.lock:
            while self._backlog.size_bytes + size_bytes > self._limits.most_bytes and self._blocks:
                self._drop_oldest(FULL)
            return self._backlog.size_bytes + size_bytes <= self._limits.most_bytes

    def drop_old(self) -> None:
        """Drop the blocks that have waited for too long."""
        with self.lock:
            while self._blocks and self.is_old(self._blocks[0]):
                self._drop_oldest(OLD)

    def cut(self, take_out: Callable[[Block], int]) -> None:
        """Have rows that are to go taken out of all blocks, and count them; what was taken is its taker's to cut. Raises `OSError`."""
        with self.lock:
            for block in list(self._blocks):
                gone = take_out(block)
                if gone:
                    self._backlog.overflowed[DELETED] += gone
                    self.shrink(block, gone)
                if not block.rows:
                    self._blocks.remove(block)
                    self.last = None if block is self.last else self.last
                    self.done(block)

    def shrink(self, block: Block, rows: int) -> None:
        """Count what was taken out of a block; nothing is at its path if that was all."""
        size_bytes = block.path.stat().st_size if block.path.exists() else 0
        with self.lock:
            self._backlog.size_bytes += size_bytes - block.size_bytes
            block.rows -= rows
            block.size_bytes = size_bytes

    def is_old(self, block: Block) -> bool:
        """Tell whether a block has waited for too long; one that somebody has removed has not, it is found when it is to be sent."""
        with contextlib.suppress(OSError):
            return block.path.stat().st_mtime < time.time() - self._limits.longest_s  # noqa: TID251 - compared with a file's
        return False

    def _drop_oldest(self, reason: str) -> None:
        block = self._popped()
        self._backlog.overflowed[reason] += block.rows
        self._backlog.size_bytes -= block.size_bytes
        _remove(block)

    def _popped(self) -> Block:
        block = self._blocks.popleft()
        if block is self.last:
            self.last = None
        return block


def _remove(block: Block) -> None:
    with contextlib.suppress(OSError):  # somebody has removed it; its rows are accounted for
        block.path.unlink()
