"""Appends to the audit log: onto the disk or not at all, tied to what was there, whoever wrote that."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from penstock.audit.entry import Change, Link, entry_of
from penstock.audit.files import RIGHTS, AuditFiles, first_line, lines_backwards, whole_bytes
from penstock.domain.actor import SERVER

_MOST_BYTES: Final = 16 * 1024 * 1024
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


class Journal:
    """Writes for one process. Blocks."""

    def __init__(self, directory: Path, most_bytes: int = _MOST_BYTES) -> None:
        """Give a file that has grown to `most_bytes` a name of its own; the next one goes on with its chain."""
        self.files: Final = AuditFiles(directory)
        self._most_bytes = most_bytes
        self._known: tuple[int, int] | None = None
        """Inode and size of the file as this process has left it: anything else means that somebody else has written."""
        self._link = Link()

    def append(self, changes: Sequence[Change]) -> None:
        """Write a line for each change, and see them onto the disk. Raises `OSError`, and nothing is written then."""
        self.files.directory.mkdir(parents=True, exist_ok=True)
        with self.files.locked():
            descriptor = os.open(self.files.current, _FLAGS, RIGHTS)
            try:
                torn = self._take_up(descriptor)
                self._write(descriptor, [*_told(torn, changes), *changes])
            finally:
                os.close(descriptor)
            if self._known is not None and self._known[1] >= self._most_bytes:
                self._begin_another()

    def _take_up(self, descriptor: int) -> int:
        """Find the end of the chain, and cut off what is no whole line; returns how many bytes that was."""
        status = os.fstat(descriptor)
        if self._known == (status.st_ino, status.st_size):
            return 0
        os.fchmod(descriptor, RIGHTS)
        torn = status.st_size - whole_bytes(descriptor)
        if torn:
            os.ftruncate(descriptor, status.st_size - torn)
        self._link = _link(descriptor) or self._link_of_full() or Link()
        self._sync_names()
        return torn

    def _link_of_full(self) -> Link | None:
        """Return the end of the newest full file: a crash may come before the first line of the next one."""
        for path in reversed(self.files.oldest_first()):
            with path.open("rb") as file:
                if (link := _link(file.fileno())) is not None:
                    return link
        return None

    def _write(self, descriptor: int, changes: Sequence[Change]) -> None:
        before, link, lines = os.fstat(descriptor), self._link, []
        for change in changes:
            line, link = link.line(change)
            lines.append(line)
        try:
            _write_all(descriptor, b"".join(lines))
            os.fsync(descriptor)
        except OSError:
            self._known = None
            with suppress(OSError):
                os.ftruncate(descriptor, before.st_size)
            raise
        self._link, self._known = link, (before.st_ino, before.st_size + sum(map(len, lines)))

    def _begin_another(self) -> None:
        """Give the full file its own name. Its lines are safe already: what fails here is tried again after the next ones."""
        with suppress(OSError, ValueError):
            self.files.current.rename(self.files.full_name(entry_of(first_line(self.files.current)).seq))
            self._sync_names()

    def _sync_names(self) -> None:
        descriptor = os.open(self.files.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _told(torn: int, changes: Sequence[Change]) -> Iterable[Change]:
    if torn:
        why = "the process or the machine stopped while it was written"
        yield Change(changes[0].at, SERVER, "", "audit log", f"{torn} bytes of a line that was not whole", "cut off", why)


def _link(descriptor: int) -> Link | None:
    """Return the end of a file's chain, None for an empty file; damaged lines at its end are counted, and stay for a check to name."""
    damaged, newest = 0, ""
    for line in lines_backwards(descriptor):
        try:
            entry = entry_of(line)
        except ValueError:
            damaged, newest = damaged + 1, newest or sha256(line).hexdigest()
        else:
            return Link(entry.seq + damaged, newest or entry.hash)
    return Link(damaged, newest) if damaged else None


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
