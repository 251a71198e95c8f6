"""One file that is being written: hidden until it is whole."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final, Self

from penstock.payloads.finishing import finish
from penstock.payloads.form import Form
from penstock.payloads.layout import bad_path, open_path

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC


class OpenFile:
    """Takes rows and is sealed once. Blocks; every method may raise `OSError`."""

    def __init__(self, path: Path, descriptor: int, begun_ns: int, form: Form, listed: Path) -> None:
        self.path: Final = path
        """Where it will be."""
        self.size_bytes = 0
        self.rows = 0
        self.begun_ns: Final = begun_ns
        self.is_open = True
        self._form = form
        self._listed = listed
        self._descriptor = descriptor
        self._torn = False

    @classmethod
    def create(cls, path: Path, begun_ns: int, form: Form, listed: Path) -> Self:
        """Return a new file (mode 0600, its directories 0700), locked for as long as its writer lives. Deletions are listed in `listed`."""
        make_private(path.parent)
        descriptor = os.open(open_path(path), _NEW, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: others tell by the age
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        file = cls(path, descriptor, begun_ns, form, listed)
        if not file.is_lost:
            return file
        file.abandon()  # it was taken for a leftover before it was locked
        return cls.create(path, begun_ns, form, listed)

    @property
    def is_lost(self) -> bool:
        """Whether nothing more may be written: somebody has removed it, so that it would reach nobody, or its end is a half line."""
        return self._torn or os.fstat(self._descriptor).st_nlink == 0

    def append(self, data: bytes, rows: int) -> None:
        """Write rows, all of them or none: a crash of the process does not lose them."""
        data = data if self.size_bytes else self._form.head + data
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, memoryview(data)[written:])
        except OSError:
            self._cut()
            raise
        self.size_bytes += len(data)
        self.rows += rows

    def seal(self) -> int:
        """Show the file under its name, on the disk for good, without rows that were deleted; returns how many these were.

        If its form cannot be shown now, it is still open, and may be sealed later.

        A file that cannot be synced is bad, and closed. What a disk could not keep once it may drop silently: it is not asked again
        (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
        """
        hidden = open_path(self.path)
        if not self.rows:
            self.abandon()
            hidden.unlink()
            return 0
        try:
            os.fsync(self._descriptor)
        except OSError:
            self.abandon()
            hidden.replace(bad_path(self.path))
            raise
        gone = finish(self._form, hidden, self.path, self._listed)
        self.abandon()  # not before: nobody else may take it for a leftover
        sync_directory(self.path.parent)
        return gone

    def abandon(self) -> None:
        """Let go of the file as it is; whoever looks for what is left finishes it if it is there."""
        self.is_open = False
        os.close(self._descriptor)

    def _cut(self) -> None:
        try:
            os.ftruncate(self._descriptor, self.size_bytes)
        except OSError:
            self._torn = True


def make_private(directory: Path) -> None:
    """Make a directory and those above it that are missing, for the owner alone."""
    for missing in reversed([path for path in (directory, *directory.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
