"""How long recorded payloads are kept."""

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from penstock.payloads.layout import BAD, FOLDERS, SUFFIXES
from penstock.payloads.rewriting import DRAFT

_log = logging.getLogger(__name__)
DAY_S: Final = 86_400


class _Kept(NamedTuple):
    modified_s: float
    size_bytes: int
    path: Path


def forget(root: Path, keep_days: float, keep_bytes: int, folders: str = FOLDERS) -> int:
    """Remove the files that are too old, and the oldest beyond the size; returns how many. Files that are being written stay. Blocks."""
    kept = sorted(_files(root, folders), reverse=True)
    oldest_s = time.time() - keep_days * DAY_S  # noqa: TID251 - compared with files'
    total = removed = 0
    for file in kept:
        total += file.size_bytes
        if total > keep_bytes or file.modified_s < oldest_s:
            with contextlib.suppress(OSError):  # another server was faster, or the next look succeeds
                file.path.unlink()
                removed += 1
                _remove_empty(file.path.parent, root)
    if removed:
        _log.info("%d files of recorded payloads were removed: they were too old, or too many", removed)
    return removed


def _files(root: Path, folders: str) -> Iterator[_Kept]:
    for pattern in (*(f"*{suffix}" for suffix in SUFFIXES), f".*{BAD}", f".*{DRAFT}"):
        for path in root.glob(f"{folders}/{pattern}"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                yield _Kept(stat.st_mtime, stat.st_size, path)


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove the folder and those above it, as long as they are empty."""
    while folder != root:
        folder.rmdir()  # raises where something is left
        folder = folder.parent
