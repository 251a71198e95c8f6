"""A buffer of rows on the disk, in blocks, for a destination that takes rows."""

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from penstock.payloads.backlog import Backlog
from penstock.payloads.layout import JSON_LINES
from penstock.payloads.open_file import make_private
from penstock.payloads.rewriting import DRAFT
from penstock.payloads.tombstones import Tombstones
from penstock.payloads.waiting import FULL, Block, Limits, Waiting

_log = logging.getLogger(__name__)
_BLOCK_BYTES: Final = 1024 * 1024
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_sequence: Final = count(1)


class Spool:
    """Appends rows to blocks, each a file with lines of JSON. The writer's, but for `waiting`."""

    def __init__(self, directory: Path, limits: Limits, backlog: Backlog) -> None:
        """Take over what an earlier process has left in the directory."""
        self.waiting: Final = Waiting(limits, backlog)
        self._directory = directory
        self._backlog = backlog
        self._block_bytes = min(_BLOCK_BYTES, limits.most_bytes // 4)
        for draft in directory.glob(f"*{DRAFT}"):
            draft.unlink()
        for path in sorted(directory.glob(f"*{JSON_LINES}")):
            self._recover(path)
        self.waiting.make_room()

    def put(self, lines: Sequence[bytes]) -> None:
        """Keep rows, so that a crash of the process does not lose them; the oldest give way where there is no room.

        Raises `OSError` if the disk does not take them: none of them is kept then.
        """
        data = b"".join(lines)
        with self.waiting.lock:
            self._put(data, len(lines))

    def cut(self, tombstones: Tombstones) -> None:
        """Take out the rows that are to go; raises `OSError`, and then a second run does the rest."""
        self.waiting.cut(partial(_cut, tombstones))

    def _put(self, data: bytes, rows: int) -> None:
        if not self.waiting.make_room(len(data)):
            self._backlog.taken += rows
            self._backlog.overflowed[FULL] += rows
            return
        block = self._block()
        try:
            _append(block, data)
        except OSError:
            self.waiting.last = None  # its end may be torn
            raise
        self._backlog.taken += rows
        self.waiting.grow(block, rows, len(data))

    def _block(self) -> Block:
        """Return the block that takes more."""
        block = self.waiting.last
        if block is None or block.size_bytes >= self._block_bytes or (block.rows and not block.path.exists()):
            make_private(self._directory)  # somebody may have removed it
            block = Block(self._directory / f"{time.time_ns():020d}-{os.getpid()}-{next(_sequence):06d}{JSON_LINES}")
            self.waiting.add(block)
        return block

    def _recover(self, path: Path) -> None:
        try:
            data = path.read_bytes()
            size = data.rfind(b"\n") + 1  # a kill may have left half a line
            os.truncate(path, size)
        except OSError as error:
            _log.error("the recorded predictions in %s cannot be read: %s; they stay there", path, error.strerror)
            return
        rows = data.count(b"\n")
        self._backlog.recovered += rows
        self.waiting.add(Block(path, rows, size))


def _append(block: Block, data: bytes) -> None:
    """Write all of it or nothing."""
    descriptor = os.open(block.path, _NEW, 0o600)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, block.size_bytes)
        raise
    finally:
        os.close(descriptor)


def lines_of(block: Block) -> list[bytes]:
    """Return the rows of a block, without an end that is torn."""
    try:
        return block.path.read_bytes().splitlines(keepends=True)[: block.rows]
    except OSError as error:
        if block.rows:
            _log.error("recorded predictions in %s are lost: %s", block.path, error.strerror)
        return []


def _cut(tombstones: Tombstones, block: Block) -> int:
    lines = lines_of(block)
    staying = [line for line in lines if not tombstones.takes_line(line)]
    if len(staying) < len(lines):
        keep(block.path, staying)
    return len(lines) - len(staying)


def keep(path: Path, lines: Sequence[bytes]) -> None:
    """Have a block hold these rows and no others; raises `OSError`, and then it holds all."""
    draft = Block(path.with_suffix(DRAFT))
    with contextlib.suppress(FileNotFoundError):
        draft.path.unlink()
    _append(draft, b"".join(lines))
    draft.path.replace(path)
