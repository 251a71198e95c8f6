"""Files that are there whole or not at all, whatever ends the process, and stay there when the machine stops."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

DRAFT: Final = ".draft-"
"""How the name of a file or folder begins that somebody is filling."""
_RIGHTS: Final = 0o666


@contextmanager
def drafted(folder: int, content: bytes, rights: int | None = None, owner: tuple[int, int] | None = None) -> Iterator[str]:
    """Yield the name of a new hidden file in the folder of that descriptor, whole and durable; it is gone at the end.

    A name that nobody can guess, and created by this process or not at all: nothing that is planted is ever written to.
    `rights` are those of a file that it is to replace, `owner` its user and group. Raises OSError, also where it cannot be given away.
    """
    name = f"{DRAFT}{uuid4().hex}"
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _RIGHTS, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if owner is not None:
                os.fchown(descriptor, *owner)
            if rights is not None:
                os.fchmod(descriptor, rights & _RIGHTS)
            os.fsync(descriptor)
        yield name
    finally:
        with suppress(FileNotFoundError):  # it has its own name now
            os.unlink(name, dir_fd=folder)


def put_in_place(folder: int, name: str, content: bytes, rights: int | None = None, owner: tuple[int, int] | None = None) -> None:
    """Replace a file in the folder of that descriptor at once and durably, see `drafted`; raises OSError."""
    with drafted(folder, content, rights, owner) as draft:
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def write(path: Path, chunks: Iterable[bytes], rights: int = _RIGHTS) -> None:
    """Write a new file, and the folders that it needs, onto the disk; raises OSError, also where there is one already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, rights), "wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """See a file, or the names in a folder, onto the disk; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
