"""How long recorded payloads are kept."""

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from penstock.payloads.layout import BAD, FOLDERS, OPEN, SUFFIXES
from penstock.payloads.rewriting import DRAFT

_log = logging.getLogger(__name__)
DAY_S: Final = 86_400
_OURS: Final = (*SUFFIXES, BAD, DRAFT, OPEN)


class _Kept(NamedTuple):
    modified_s: float
    size_bytes: int
    path: Path

    @property
    def is_open(self) -> bool:
        """Whether it is being written, or its writer has left it."""
        return self.path.name.endswith(OPEN)


def forget(root: Path, keep_days: float, keep_bytes: int, folders: str = FOLDERS) -> int:
    """Remove the files that are too old, and the oldest beyond the size; returns how many. Blocks.

    A file that is being written goes only if nobody has written to it for so long.
    """
    kept = sorted(_files(root.glob(f"{folders}/*")), reverse=True)
    oldest_s = _oldest_s(keep_days)
    total = removed = 0
    for file in kept:
        total += 0 if file.is_open else file.size_bytes
        is_too_much = total > keep_bytes and not file.is_open
        if is_too_much or file.modified_s < oldest_s:
            with contextlib.suppress(OSError):  # another server was faster, or the next look succeeds
                file.path.unlink()
                removed += 1
                _remove_empty(file.path.parent, root)
    if removed:
        _log.info("%d files of recorded payloads were removed: they were too old, or too many", removed)
    return removed


def forget_old(paths: Iterable[Path], keep_days: float) -> None:
    """Remove the files among these that are too old. Blocks."""
    oldest_s = _oldest_s(keep_days)
    for file in _files(paths):
        if file.modified_s < oldest_s:
            with contextlib.suppress(OSError):
                file.path.unlink()


def _oldest_s(keep_days: float) -> float:
    return time.time() - keep_days * DAY_S  # noqa: TID251 - compared with files'


def _files(paths: Iterable[Path]) -> Iterator[_Kept]:
    for path in paths:
        if path.name.endswith(_OURS):
            with contextlib.suppress(OSError):
                stat = path.stat()
                yield _Kept(stat.st_mtime, stat.st_size, path)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove the folder and those above it, as long as they are empty."""
    while folder != root:
        folder.rmdir()  # raises where something is left
        folder = folder.parent
