"""Private copies of versions by what they hold: bounded, shared between processes, and never taken from under a user."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from penstock.registry.cache_index import CacheIndex
from penstock.registry.content import Content
from penstock.registry.draft import CONTENT, FILES, Draft
from penstock.registry.options import GIB

_LOCK: Final = "lock"
_VERSIONS: Final = "versions"
_DRAFTS: Final = "drafts"
_UNSEEN_PARTS: Final = 64
"""What came since the copies were last looked through may be such a part of the limit: to look takes longer the more there are."""


class HeldCopy:
    """A copy in use: as long as this is open, or the process lives, no process removes the copy."""

    def __init__(self, cache: "Cache", directory: Path, content: Content, lock: int) -> None:
        """Take over the descriptor `lock`."""
        self.directory: Final = directory / FILES
        self.content: Final = content
        self._cache = cache
        self._lock = lock
        self._unlock = weakref.finalize(self, os.close, lock)

    def close(self) -> None:
        """Give the copy back; a second call does nothing. Blocks if others have to go now."""
        if self._unlock.alive:
            os.utime(self._lock)
            self._unlock()
            with contextlib.suppress(OSError):  # what is too much now goes with a later one
                self._cache.settle()


class Cache:
    """The copies in one directory. For any number of threads and processes; every method blocks, and may raise OSError.

    A copy is named by the sha256 over its list of files. Each has a file that its users lock for sharing, and whoever removes a copy
    locks it alone first; the kernel drops the locks of a process that dies. One more lock orders the short moments in which a
    directory gets its name or loses it. It is waited for without limit: only threads that load ever do.
    """

    def __init__(self, directory: Path, limit_bytes: int = 20 * GIB) -> None:
        """Make the directory ready, and remove what crashed processes left; raises OSError if it cannot be used."""
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._unseen_bytes = limit_bytes
        """What came since the last look; as much as the limit before the first, and while more than that is in use."""
        self.index: Final = CacheIndex(directory)
        self._make_ready()
        directory.chmod(0o700)
        self.index.sweep()
        self._sweep()

    def make(self, fill: Callable[[Draft], None]) -> HeldCopy:
        """Return the copy that the function fills, or the equal one that is there already; raises what the function raises."""
        draft = self._draft()
        try:
            fill(draft)
            draft.finish()
            copy = self._keep(draft)
        except BaseException:
            draft.discard()
            raise
        self._unseen_bytes += copy.content.size_bytes
        self.settle()
        return copy

    def hold(self, digest: str) -> HeldCopy | None:
        """Return the copy of that digest, every byte of it verified; None if there is none, or if it was damaged and is gone now."""
        directory = self._versions / digest
        with self._alone():
            if not directory.is_dir():
                return None
            lock = _shared(directory)
        try:
            content = Content.decode((directory / CONTENT).read_bytes(), digest)
            damaged = bool(content.damage(directory / FILES))
        except (OSError, ValueError):
            damaged = True
        if damaged:
            self._drop(directory, lock)
            return None
        return HeldCopy(self, directory, content, lock)

    def has(self, digest: str) -> bool:
        """Tell whether there is a copy of that digest, its bytes unread."""
        return bool(digest) and (self._versions / digest / CONTENT).is_file()

    def settle(self) -> None:
        """Remove what is too much, if there may be anything."""
        if self._unseen_bytes * _UNSEEN_PARTS >= self._limit_bytes:
            self.trim()

    def trim(self, limit_bytes: int | None = None) -> bool:
        """Remove copies that nobody uses, least recently used first, down to the limit; tells whether any was removed."""
        with self._alone():
            sizes = {path: _size(path) for path in self._versions.iterdir()}
            excess = sum(sizes.values()) - (self._limit_bytes if limit_bytes is None else limit_bytes)
            gone = dict(self._surplus(sizes, excess)) if excess > 0 else {}
            is_enough = sum(sizes[path] for path in sizes.keys() - gone.keys()) <= self._limit_bytes
            self._unseen_bytes = 0 if is_enough else self._limit_bytes  # what is in use may be given back at any time
        for moved in gone.values():
            shutil.rmtree(moved, ignore_errors=True)
        if gone:
            self.index.prune(self.has)
        return bool(gone)

    def _draft(self) -> Draft:
        with self._alone():
            directory = self._unnamed()
            lock = _shared(directory)
        return Draft(directory, lock)

    def _keep(self, draft: Draft) -> HeldCopy:
        content = draft.content
        target = self._versions / content.digest
        while True:
            if present := self.hold(content.digest):
                draft.discard()
                return present
            with self._alone():
                if not target.exists():  # else another process has just kept its own
                    draft.directory.rename(target)
                    break
        return HeldCopy(self, target, content, draft.lock)

    def _surplus(self, sizes: Mapping[Path, int], excess: int) -> Iterator[tuple[Path, Path]]:
        """Take away the names of the copies that have to go; yields each with what is to be removed."""
        for directory in sorted(sizes, key=_last_used):
            if excess > 0 and (moved := self._unused(directory)):
                excess -= sizes[directory]
                yield directory, moved

    @property
    def _versions(self) -> Path:
        return self._directory / _VERSIONS

    def _unused(self, directory: Path) -> Path | None:
        """Take away the name of a copy that nobody uses; returns what is to be removed."""
        if (lock := _exclusive(directory)) is None:
            return None
        moved = self._unnamed()
        directory.rename(moved)
        os.close(lock)
        return moved

    def _drop(self, directory: Path, lock: int) -> None:
        """Remove a damaged copy, used or not: who has its files open keeps them."""
        with self._alone():
            moved = self._unnamed()
            # Another process may have put a sound one in its place by now.
            if _last_used(directory) and os.path.samestat((directory / _LOCK).stat(), os.fstat(lock)):
                directory.rename(moved)
        os.close(lock)
        shutil.rmtree(moved, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove the drafts whose process is dead."""
        with self._alone():
            for directory in (self._directory / _DRAFTS).iterdir():
                with contextlib.suppress(OSError):  # another process is removing it right now
                    if (lock := _exclusive(directory)) is not None:
                        shutil.rmtree(directory, ignore_errors=True)
                        os.close(lock)

    def _unnamed(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._directory / _DRAFTS))

    def _make_ready(self) -> None:
        """Make the directories that are not there, or not any more: somebody may clear a cache while it is in use."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in (_VERSIONS, _DRAFTS):
            (self._directory / part).mkdir(mode=0o700, exist_ok=True)
        self.index.make_ready()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self._make_ready()
        descriptor = _open_lock(self._directory)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _size(directory: Path) -> int:
    """Return the bytes of a copy."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _last_used(directory: Path) -> int:
    """Return when a copy was last used (ns); 0 if it has gone."""
    try:
        return (directory / _LOCK).stat().st_mtime_ns
    except OSError:
        return 0


def _open_lock(directory: Path) -> int:
    return os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _shared(directory: Path) -> int:
    """Return a descriptor that says the directory is in use, from now on most recently."""
    descriptor = _open_lock(directory)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.utime(descriptor)
    return descriptor


def _exclusive(directory: Path) -> int | None:
    """Return a descriptor that keeps users out, None if there are any."""
    descriptor = _open_lock(directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
