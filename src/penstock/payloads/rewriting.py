"""Files without some of their lines: replaced as a whole, so that a reader sees all of the lines before or all that stay."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

DRAFT: Final = ".draft"
"""The end of the name of a file that is being rewritten; it begins with a dot."""


def rewrite(path: Path, goes: Callable[[bytes], bool]) -> int:
    """Take lines out of a file; returns how many. A file without any other is removed.

    The file keeps its age, by which it is removed one day. Its directory is left for the caller to sync. Blocks; raises `OSError`, and the
    file is as it was.
    """
    with path.open("rb") as file:
        gone = sum(map(goes, file))
        if not gone:
            return 0
        draft = draft_of(path)
        try:
            file.seek(0)
            _write(draft, (line for line in file if not goes(line)), os.fstat(file.fileno()))
            if draft.stat().st_size:
                draft.replace(path)
            else:
                path.unlink()
        finally:
            draft.unlink(missing_ok=True)
    return gone


def draft_of(path: Path) -> Path:
    """Return where a file is rewritten."""
    return path.with_name(f".{path.name.removeprefix('.')}.{os.getpid()}{DRAFT}")


def _write(draft: Path, lines: Iterable[bytes], like: os.stat_result) -> None:
    """Write a new file that is on the disk once this returns."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(lines)
        file.flush()
        os.utime(descriptor, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(descriptor)
