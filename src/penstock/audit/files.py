"""Where the audit log lies: one file that grows, beside it those that are full, and a lock for whoever writes or checks."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CURRENT: Final = "audit.jsonl"
_FULL: Final = "audit-*.jsonl"
_LOCK: Final = "audit.lock"
RIGHTS: Final = 0o600
_BLOCK: Final = 64 * 1024


class AuditFiles:
    """The files of a state directory. Blocks; several processes may share them."""

    def __init__(self, directory: Path) -> None:
        self.directory: Final = directory
        self.current: Final = directory / CURRENT

    def oldest_first(self) -> list[Path]:
        """Return the files that are there."""
        return [*self.full(), *([self.current] if self.current.exists() else [])]

    def full(self) -> list[Path]:
        """Return those that are full, the oldest first: their names hold the number of their first entry, so they sort."""
        return sorted(self.directory.glob(_FULL))

    def full_name(self, first: int) -> Path:
        """Return the name for a full file that begins with the entry of that number."""
        return self.directory / f"audit-{first:012d}.jsonl"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from writing, or wait until they have; raises `OSError`. The kernel lets go when a process dies."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.directory / _LOCK, flags, RIGHTS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def lines_backwards(descriptor: int) -> Iterator[bytes]:
    """Yield the lines of a file without their line breaks, the last first; what follows the last line break is none."""
    position, rest = whole_bytes(descriptor) - 1, b""
    if position < 0:
        return
    while position > 0:
        start = max(0, position - _BLOCK)
        rest, *lines = (os.pread(descriptor, position - start, start) + rest).split(b"\n")
        yield from reversed(lines)
        position = start
    yield rest


def whole_bytes(descriptor: int) -> int:
    """Return how many bytes of a file are whole lines; what follows them was torn."""
    position = os.fstat(descriptor).st_size
    while position > 0:
        start = max(0, position - _BLOCK)
        found = os.pread(descriptor, position - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def first_line(path: Path) -> bytes:
    """Return the first line of a file without its line break; raises `OSError`."""
    with path.open("rb") as file:
        return file.readline().removesuffix(b"\n")
