"""Files that not everybody on the machine may read."""

import os
import stat
from pathlib import Path


def read_private(path: Path, most_bytes: int) -> bytes:
    """Return the content of a file.

    Raises `OSError`, and `ValueError` if it is longer than `most_bytes` or if users who are neither its owner nor of its group may
    read or write it. The rights are those of the file that is read, whatever takes its place meanwhile.
    """
    with path.open("rb") as file:
        check_private(os.fstat(file.fileno()).st_mode)
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it has more than {most_bytes} bytes")
    return content


def check_private(mode: int) -> None:
    """Raise `ValueError` if everybody may read or write a file of that mode."""
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ValueError(f"everybody may read or write it (mode {stat.S_IMODE(mode):04o}); chmod 0600, or 0640 for a group")
