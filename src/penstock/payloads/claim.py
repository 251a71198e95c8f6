"""A directory for one process alone, with what dead ones have left in theirs."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from penstock.payloads.open_file import make_private
from penstock.payloads.owner import opened_for_owner

_log = logging.getLogger(__name__)
_LOCK: Final = ".lock"


class Claim:
    """Holds a directory for as long as the process lives. Blocks; raises `OSError`."""

    def __init__(self, root: Path) -> None:
        """Claim the first directory below `root`, by number, that no living process holds, and move into it what the others hold."""
        make_private(root)
        for number in count(1):
            path = root / str(number)
            descriptor = _locked(path)
            if descriptor is not None:
                break
        self.path: Final = path
        self._descriptor = descriptor
        for other in sorted(root.iterdir()):
            if other != path and other.is_dir():
                try:
                    self._adopt(other)
                except OSError as error:
                    _log.warning("what waits in %s stays there until the next start: %s", other, error.strerror)

    def release(self) -> None:
        """Let others have the directory."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _adopt(self, other: Path) -> None:
        descriptor = _locked(other)
        if descriptor is None:
            return
        try:
            for path in sorted(other.rglob("*")):
                if path.is_file() and path.name != _LOCK:
                    target = self.path / path.relative_to(other)
                    make_private(target.parent)
                    path.rename(target)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def borrowed(path: Path) -> Iterator[bool]:
    """Have a directory that no living process holds, for as long as the context lasts; tells whether none does. Raises `OSError`."""
    descriptor = _locked(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Return the descriptor that holds a directory, None if another process does."""
    make_private(path)
    descriptor = opened_for_owner(path / _LOCK, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return descriptor
