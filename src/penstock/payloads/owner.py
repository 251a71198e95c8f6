"""Whose the files are: those of the server that writes there, also where root makes or rewrites one by a command."""

import os
from pathlib import Path
from typing import Final

_NEW: Final = os.O_CREAT | os.O_EXCL
_USUAL: Final = os.O_CLOEXEC | os.O_NOFOLLOW


def opened_for_owner(path: Path, flags: int) -> int:
    """Return the descriptor of a file; one that is missing is made (mode 0600), and is its directory's owner's. Raises `OSError`."""
    try:
        descriptor = os.open(path, flags | _NEW | _USUAL, 0o600)
    except FileExistsError:
        return os.open(path, flags | _USUAL)
    keep_owner(descriptor, path.parent.stat())
    return descriptor


def keep_owner(descriptor: int, like: os.stat_result) -> None:
    """Give a file to the owner of another, which only root can do and only root has to. Raises `OSError`."""
    if os.geteuid() == 0:
        os.fchown(descriptor, like.st_uid, like.st_gid)
