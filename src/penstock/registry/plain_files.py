"""Files below a directory that others may write, listed and opened so that no link leads elsewhere.

The directory itself is the operator's word and may be reached through links; whatever lies below it may not. Each step is
an open relative to the descriptor of the step before, so that nothing can be swapped in between.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from penstock.domain.names import shown

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK the open of a pipe would wait for its writer.
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_FILES: Final = 100_000
_MAX_DEPTH: Final = 32


class NotPlain(ValueError):
    """A link, pipe, socket or device, or more files than any model has; the text names it without its path."""


class FoundFile(NamedTuple):
    """Something that is no folder: usually a file, maybe a link or worse."""

    name: str
    """Relative to the folder that was listed, with `/` between folders."""
    status: os.stat_result
    """Of the thing itself, not of what a link leads to."""


@contextmanager
def plain_folder(root: Path, parts: Sequence[str] = ()) -> Iterator[int]:
    """Yield a descriptor of a folder below the root; raises `NotPlain` if a step is a link, or OSError."""
    descriptor = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for part in parts:
            below = _open(part, _FOLDER, descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def open_plain_file(root: Path, parts: Sequence[str]) -> int:
    """Return a descriptor of a regular file below the root; raises `NotPlain` for a link or what is no file, or OSError."""
    with plain_folder(root, parts[:-1]) as folder:
        return open_plain_in(folder, parts[-1])


def open_plain_in(folder: int, name: str) -> int:
    """Return a descriptor of a regular file in the folder of that descriptor; raises as `open_plain_file` does."""
    descriptor = _open(name, _FILE, folder)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise NotPlain(f"{shown(name)} is no regular file")


def files_below(folder: int, prefix: str = "") -> list[FoundFile]:
    """Return whatever is no folder below the folder of that descriptor, sorted; raises `NotPlain` for too much of it, or OSError."""
    return sorted(_bounded(_walk(folder, prefix)))


def _bounded(found: Iterator[FoundFile]) -> Iterator[FoundFile]:
    for count, file in enumerate(found):
        if count >= _MAX_FILES:
            raise NotPlain(f"there are more than {_MAX_FILES} files in it")
        yield file


def _walk(folder: int, prefix: str) -> Iterator[FoundFile]:
    if prefix.count("/") > _MAX_DEPTH:
        raise NotPlain(f"its folders are nested more than {_MAX_DEPTH} deep")
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            with suppress(FileNotFoundError):  # it went away between the listing and now
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk_into(entry.name, folder, f"{name}/")
                else:
                    yield FoundFile(name, entry.stat(follow_symlinks=False))


def _walk_into(name: str, folder: int, prefix: str) -> Iterator[FoundFile]:
    below = _open(name, _FOLDER, folder)
    try:
        yield from _walk(below, prefix)
    finally:
        os.close(below)


def _open(name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and _is_link(name, folder):
            raise NotPlain(f"{shown(name)} is a link; a registry holds folders and files only, since a link may lead anywhere") from error
        raise


def _is_link(name: str, folder: int) -> bool:
    with suppress(OSError):
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False
