"""The deletion of all that is recorded of one subject."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from penstock.payloads.key import FILE, keys_of
from penstock.payloads.layout import BAD, OPEN, SUFFIX
from penstock.payloads.open_file import make_private, sync_directory
from penstock.payloads.reading import open_files, rows_of, sealed_files
from penstock.payloads.rewriting import DRAFT, rewrite
from penstock.payloads.subject import subject_hashes
from penstock.payloads.tombstones import ANY, Tombstone, Tombstones, timestamp, write_down

_log = logging.getLogger(__name__)
_LOCK: Final = ".deleting"
_FOLDERS: Final = "model={model}/version={version}/date=*/hour=*"


class NoKey(Exception):
    """Nothing can be found, for the key of the hashes is not there; the message says where it should be."""


class Deleted(NamedTuple):
    """What a deletion has done."""

    rows: int
    files: int
    """Those that had such rows."""
    waiting: int
    """Rows in files that are being written, or that a killed writer has left: they go when the file is finished."""
    foreign: int
    """Files of another form, which were not looked into."""


class Deletions:
    """Deletes what is recorded in one directory, by the keys of one state directory. Every method blocks."""

    def __init__(self, root: Path, state_dir: Path) -> None:
        self._root: Final = root
        self._state_dir: Final = state_dir

    def delete(self, subject: str, before: datetime, model: str = ANY, version: str = ANY, *, dry_run: bool = False) -> Deleted:
        """Delete the rows of a subject whose predictions ended before a time; raises `NoKey`, `OSError`."""
        try:
            keys = keys_of(self._state_dir)
        except OSError as error:
            raise NoKey(
                f"no subject can be found without the key of the hashes, {FILE} in the state directory: {error.strerror}"
            ) from error
        hashes = frozenset(subject_hashes(subject, keys))
        stone = Tombstone(subjects=hashes, before=timestamp(before), model=model, version=version)
        return delete(self._root, stone, dry_run=dry_run)


def delete(root: Path, stone: Tombstone, *, dry_run: bool = False) -> Deleted:
    """Rewrite every finished file that holds rows of a subject, and have those that are being written lose them when they are finished.

    Whatever stops it, each file is as it was or without the rows; a second run does the rest. With `dry_run` rows are only counted. Blocks;
    raises `OSError`.
    """
    make_private(root)
    with _alone(root):
        if not dry_run:
            write_down(root, stone)
        counts = list(_counts(root, stone, dry_run=dry_run))
    deleted = Deleted(sum(counts), sum(map(bool, counts)), _waiting(root, stone), _foreign(root, stone))
    if not dry_run:
        _log.info("%d recorded rows of a subject are deleted, %d go when their files are finished", deleted.rows, deleted.waiting)
    return deleted


def _counts(root: Path, stone: Tombstone, *, dry_run: bool) -> Iterator[int]:
    """Yield how many rows of each file go."""
    goes = Tombstones([stone]).takes_line
    for path in [*sealed_files(root, stone.model, stone.version), *_files(root, stone, f".*{BAD}")]:
        with contextlib.suppress(FileNotFoundError):  # it has become too old meanwhile
            if dry_run:
                with path.open("rb") as file:
                    yield sum(map(goes, file))
            else:
                yield _rewritten(path, goes)


def _rewritten(path: Path, goes: Callable[[bytes], bool]) -> int:
    gone = rewrite(path, goes)
    if gone:
        sync_directory(path.parent)
    return gone


def _waiting(root: Path, stone: Tombstone) -> int:
    waiting = 0
    for path in open_files(root, stone.model, stone.version):
        with contextlib.suppress(FileNotFoundError):  # it has been finished meanwhile
            waiting += sum(map(stone.takes, rows_of(path)))
    return waiting


def _foreign(root: Path, stone: Tombstone) -> int:
    ours = (SUFFIX, OPEN, BAD, DRAFT)
    return sum(1 for path in _files(root, stone, "*") if not path.name.endswith(ours))


def _files(root: Path, stone: Tombstone, pattern: str) -> Iterable[Path]:
    return root.glob(f"{_FOLDERS.format(model=stone.model, version=stone.version)}/{pattern}")


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let one deletion happen after the other: two that rewrite the same file would bring back rows."""
    descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
