"""Files that a writer has left open because it was killed: what they hold is saved at the next start."""

import contextlib
import fcntl
import logging
import os
import time
from pathlib import Path
from typing import BinaryIO

import orjson

from penstock.payloads.layout import OPEN, bad_path, host, sealed_path, writer_host
from penstock.payloads.open_file import sync_directory
from penstock.payloads.tombstones import show

_log = logging.getLogger(__name__)


def repair(root: Path, abandoned_s: float) -> None:
    """Seal what writers have left below a directory, without the half line that a kill may leave; quarantine what is no JSON.

    A file that a living writer holds is locked. Locks of other machines may not be seen: their files are left alone for `abandoned_s`.
    Blocks; what cannot be repaired now is told in the log and tried again at the next start.
    """
    for path in sorted(root.glob(f"model=*/version=*/date=*/hour=*/.*{OPEN}")):
        try:
            _repair(path, abandoned_s)
        except OSError as error:
            _log.warning("the recorded payloads in %s cannot be repaired: %s", path, error.strerror)


def _repair(path: Path, abandoned_s: float) -> None:
    if writer_host(path) != host() and time.time() - path.stat().st_mtime < abandoned_s:  # noqa: TID251 - compared with a file's
        return
    with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _finish(path, file)


def _finish(path: Path, file: BinaryIO) -> None:
    size = whole_bytes(file)
    if size is None:
        path.replace(bad_path(path))
        _log.warning("%s holds lines that are no JSON; it is kept as %s", path, bad_path(path).name)
    elif not size:
        path.unlink()
    else:
        file.truncate(size)
        os.fsync(file.fileno())
        show(path, sealed_path(path))
        sync_directory(path.parent)
        _log.info("%s was left by a writer that was killed, and is whole again", sealed_path(path))


def whole_bytes(file: BinaryIO) -> int | None:
    """Return the bytes of the whole lines that a file begins with, None if one of them is no JSON object."""
    size = 0
    file.seek(0)
    for line in file:
        if not line.endswith(b"\n"):
            break
        if not _is_row(line):
            return None
        size += len(line)
    return size


def _is_row(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False
