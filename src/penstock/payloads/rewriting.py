"""Files without some of their lines: replaced as a whole, so that a reader sees all of the lines before or all that stay."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from penstock.payloads.owner import keep_owner

DRAFT: Final = ".draft"
"""The end of the name of a file that is being rewritten; it begins with a dot."""


class Ready(NamedTuple):
    """What is to have a file's name."""

    path: Path | None
    """None if no row is left."""
    gone: int
    """Rows that are not in it any more."""


def rewrite(path: Path, goes: Callable[[bytes], bool]) -> int:
    """Take lines out of a file; returns how many. A file without any other is removed.

    The file keeps its owner, and its age, by which it is removed one day. Its directory is left for the caller to sync. Blocks; raises
    `OSError`, and the file is as it was.
    """
    draft = draft_of(path)
    try:
        ready = without(path, draft, goes)
        replace(path, ready)
    finally:
        draft.unlink(missing_ok=True)
    return ready.gone


def without(path: Path, draft: Path, goes: Callable[[bytes], bool]) -> Ready:
    """Return what a file is to be without lines: a draft if any go, else the file itself. The file stays. Blocks; raises `OSError`."""
    with path.open("rb") as file:
        gone = sum(map(goes, file))
        if not gone:
            return Ready(path, 0)
        file.seek(0)
        _write(draft, (line for line in file if not goes(line)), os.fstat(file.fileno()))
    if draft.stat().st_size:
        return Ready(draft, gone)
    draft.unlink()
    return Ready(None, gone)


def replace(path: Path, ready: Ready) -> None:
    """Have what is ready under a name, or nothing if no row is left. Raises `OSError`."""
    if ready.path is None:
        path.unlink(missing_ok=True)
    else:
        ready.path.replace(path)


def draft_of(path: Path) -> Path:
    """Return where a file is rewritten."""
    return path.with_name(f".{path.name.removeprefix('.')}.{os.getpid()}{DRAFT}")


def seal_draft(path: Path) -> Path:
    """Return where a file is made ready for its name: not of this process alone, so that whoever comes after a kill writes it anew."""
    return path.with_name(f".{path.name}{DRAFT}")


def _write(draft: Path, lines: Iterable[bytes], like: os.stat_result) -> None:
    """Write a new file that is on the disk once this returns."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(lines)
        file.flush()
        keep_owner(descriptor, like)
        os.utime(descriptor, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(descriptor)
