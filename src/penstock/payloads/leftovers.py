"""Files that a writer has left open because it was killed, or could not finish them: what they hold is saved by whoever finds them."""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from penstock.payloads.finishing import finish
from penstock.payloads.form import Form
from penstock.payloads.jsonl_file import LINES
from penstock.payloads.layout import FOLDERS, JSON_LINES, OPEN, bad_path, host, sealed_path, writer_host
from penstock.payloads.open_file import sync_directory
from penstock.payloads.reading import readable, row_count

_log = logging.getLogger(__name__)
_ABANDONED: Final = 4
"""A file that nobody has written to for so many times its longest age belongs to nobody."""
Heard = Callable[[Path, int, int], object]
"""Hears of the path of a file that is sealed, of its rows, and of those that were deleted before; of one that is gone, or still hidden, as
there is nothing at its path."""


def repair(root: Path, rotate_s: float, *, heard: Heard = lambda *_: None, folders: str = FOLDERS, listed: Path | None = None) -> None:
    """Seal what writers have left below a directory, without the torn end that a kill may leave; quarantine what is not of its form.

    A file that a living writer holds is locked. Locks of other machines may not be seen: their files are left alone for several times
    `rotate_s`, the age at which they would have been sealed. `heard` is told of each file and its rows. Rows go whose deletion is listed in
    `listed`, which is `root` where nothing else is said. Blocks; what cannot be repaired now is told, and stays for the next look.
    """
    for path in sorted(root.glob(f"{folders}/.*{OPEN}")):
        if not path.name.removesuffix(OPEN).endswith(readable()):
            continue
        try:
            gone = _repaired(path, rotate_s * _ABANDONED, listed or root)
            if gone is not None:
                there = sealed_path(path)
                heard(there, row_count(there) if there.exists() else 0, gone)
        except Exception as error:
            reason = error.strerror if isinstance(error, OSError) else error
            _log.warning("the recorded payloads in %s cannot be repaired: %s", path, reason)


def _repaired(path: Path, abandoned_s: float, listed: Path) -> int | None:
    """Return how many rows of a file that is sealed now were deleted, None if there is none."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        if _is_left(path, file, abandoned_s):
            return _finished(path, file, _form_of(path), listed)
    return None


def _is_left(path: Path, file: BinaryIO, abandoned_s: float) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_known = writer_host(path) == host()
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        is_known = False
    return is_known or time.time() - path.stat().st_mtime >= abandoned_s  # noqa: TID251 - compared with a file's


def _form_of(path: Path) -> Form:
    if path.name.endswith(f"{JSON_LINES}{OPEN}"):
        return LINES
    from penstock.payloads.parquet_file import TABLES  # noqa: PLC0415 - an extra

    return TABLES


def _finished(path: Path, file: BinaryIO, form: Form, listed: Path) -> int | None:
    size = form.whole_bytes(file)
    if size is None:
        path.replace(bad_path(path))
        _log.warning("%s holds what is no row; it is kept as %s", path, bad_path(path).name)
        return None
    if size <= len(form.head):
        path.unlink()
        return None
    file.truncate(size)
    os.fsync(file.fileno())
    gone = finish(form, path, sealed_path(path), listed)
    sync_directory(path.parent)
    _log.info("%s was left by a writer that was killed, and is whole again", sealed_path(path))
    return gone
