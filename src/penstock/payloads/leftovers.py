"""Files that a writer has left open because it was killed: what they hold is saved at the next start."""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import orjson

from penstock.payloads.finishing import finish
from penstock.payloads.form import Form
from penstock.payloads.layout import FOLDERS, OPEN, bad_path, host, sealed_path, writer_host
from penstock.payloads.open_file import sync_directory
from penstock.payloads.reading import row_count

_log = logging.getLogger(__name__)
Heard = Callable[[Path, int, int], object]
"""Hears of the path of a file that is sealed, of its rows, and of those that were deleted before; of one that is gone, as there is nothing
at its path."""


def repair(
    root: Path, form: Form, abandoned_s: float, *, heard: Heard = lambda *_: None, folders: str = FOLDERS, listed: Path | None = None
) -> None:
    """Seal what writers have left below a directory, without the torn end that a kill may leave; quarantine what is not of the form.

    A file that a living writer holds is locked. Locks of other machines may not be seen: their files are left alone for `abandoned_s`.
    Blocks; what cannot be repaired now is told in the log and tried again at the next start. `heard` is told of each file and its rows.
    Rows go whose deletion is listed in `listed`, which is `root` where nothing else is said.
    """
    for path in sorted(root.glob(f"{folders}/.*{form.suffix}{OPEN}")):
        try:
            if _repaired(path, form, abandoned_s, listed or root):
                heard(sealed_path(path), row_count(sealed_path(path)), 0)
        except Exception as error:
            reason = error.strerror if isinstance(error, OSError) else error
            _log.warning("the recorded payloads in %s cannot be repaired: %s", path, reason)


def _repaired(path: Path, form: Form, abandoned_s: float, listed: Path) -> bool:
    if writer_host(path) != host() and time.time() - path.stat().st_mtime < abandoned_s:  # noqa: TID251 - compared with a file's
        return False
    with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _finished(path, file, form, listed)
    return False


def _finished(path: Path, file: BinaryIO, form: Form, listed: Path) -> bool:
    size = form.whole_bytes(file)
    if size is None:
        path.replace(bad_path(path))
        _log.warning("%s holds what is no row; it is kept as %s", path, bad_path(path).name)
        return False
    if size <= len(form.head):
        path.unlink()
        return False
    file.truncate(size)
    os.fsync(file.fileno())
    finish(form, path, sealed_path(path), listed)
    sync_directory(path.parent)
    _log.info("%s was left by a writer that was killed, and is whole again", sealed_path(path))
    return sealed_path(path).exists()


def whole_lines(file: BinaryIO) -> int | None:
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
