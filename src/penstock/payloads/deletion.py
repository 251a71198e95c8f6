"""The deletion of all that is recorded of one subject."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from penstock.payloads.claim import borrowed
from penstock.payloads.deletion_count import Deleted, DeletionCount
from penstock.payloads.feedback_deletion import delete_words, requests_of
from penstock.payloads.key import FILE, keys_of
from penstock.payloads.layout import BAD, JSON_LINES, OPEN
from penstock.payloads.open_file import make_private, sync_directory
from penstock.payloads.owner import opened_for_owner
from penstock.payloads.reading import open_files, readable, rows_of, sealed_files
from penstock.payloads.removal import take_out
from penstock.payloads.rewriting import DRAFT
from penstock.payloads.row import UnreadableRow
from penstock.payloads.subject import subject_hashes
from penstock.payloads.tombstones import ALWAYS, ANY, Tombstone, Tombstones, timestamp, write_down

_log = logging.getLogger(__name__)
_LOCK: Final = ".deleting"
_MARGIN_DAYS: Final = 1
_FOLDERS: Final = "model={model}/version={version}/date=*/hour=*"


class NoKey(Exception):
    """Nothing can be found, for the key of the hashes is not there; the message says where it should be."""


class Deletions:
    """Deletes what is recorded in one directory, by the keys of one state directory. Every method blocks."""

    def __init__(self, root: Path, state_dir: Path, keep_days: float) -> None:
        self._root: Final = root
        self._keep_days: Final = keep_days
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
        stone = Tombstone(subjects=hashes, before=timestamp(before), model=model, version=version, until=self._until(before))
        return delete(self._root, stone, dry_run=dry_run)

    def _until(self, before: datetime) -> str:
        """Return when all rows from before a time are too old to be in any file."""
        try:
            return timestamp(max(before, datetime.now(UTC)) + timedelta(days=self._keep_days + _MARGIN_DAYS))
        except OverflowError:
            return ALWAYS


def delete(root: Path, stone: Tombstone, *, dry_run: bool = False) -> Deleted:
    """Rewrite every finished file that holds rows of a subject, and have those that are being written lose them when they are finished.

    What waits for a sink elsewhere is rewritten too: by the process that holds it, or here if none does. Whatever stops it, each file is as
    it was or without the rows; a second run does the rest. With `dry_run` rows are only counted. Blocks; raises `OSError`.
    """
    make_private(root)
    count = DeletionCount()
    with _alone(root):
        requests = requests_of(_held(root, stone), stone)
        _count_open(root, stone, count)  # a file that is finished from now on may lose its rows by that, before anybody looks again
        if not dry_run:
            write_down(root, stone)
            requests_of(_held(root, stone), stone, requests)  # rows that came before the deletion stood there
            _count_open(root, stone, count)
        # What was said goes first: its predictions are how a second run finds it.
        delete_words(root, requests, stone.until, count, dry_run=dry_run)
        _take_out(root, stone, count.take, count, dry_run=dry_run)
        for folder in sorted(root.glob("buffer/*/*/")):
            _count_open(folder, stone, count)
            with borrowed(folder) as is_free:
                _take_out(folder, stone, count.take if is_free else count.wait, count, dry_run=dry_run or not is_free)
    deleted = count.told(_foreign(root, stone))
    if not dry_run:
        _log.info("%d recorded rows of a subject are deleted, %d go when their files are finished", deleted.rows, deleted.waiting)
    return deleted


def _held(root: Path, stone: Tombstone) -> Iterator[Path]:
    """Yield the files with rows, finished or not, and those that wait for a sink elsewhere."""
    for folder in (root, *sorted(root.glob("buffer/*/*/"))):
        yield from (path for path in open_files(folder, stone.model, stone.version) if path.name.removesuffix(OPEN).endswith(readable()))
        yield from _finished(folder, stone)


def _take_out(root: Path, stone: Tombstone, note: Callable[[Path, int], None], count: DeletionCount, *, dry_run: bool) -> None:
    """Take the rows out of each finished file, and note how many."""
    tombstones = Tombstones([stone])
    for path in _finished(root, stone):
        with contextlib.suppress(FileNotFoundError):  # it has become too old meanwhile, or was sent
            try:
                gone = take_out(path, tombstones, dry_run=dry_run)
            except UnreadableRow:
                count.pass_over(path)
                continue
            if gone and not dry_run:
                sync_directory(path.parent)
            note(path, gone)


def _finished(root: Path, stone: Tombstone) -> Iterator[Path]:
    """Yield the files that are not being written, and that are looked into."""
    yield from (path for path in sealed_files(root, stone.model, stone.version) if path.suffix in readable())
    yield from _files(root, stone, f".*{JSON_LINES}{BAD}")
    yield from root.glob(f"*{JSON_LINES}")  # what waits as rows


def _count_open(root: Path, stone: Tombstone, count: DeletionCount) -> None:
    """Note how many rows of each file go that is being written."""
    for path in open_files(root, stone.model, stone.version):
        if path.name.removesuffix(OPEN).endswith(readable()):
            with contextlib.suppress(FileNotFoundError):  # it has been finished meanwhile
                try:
                    count.wait(path, sum(map(stone.takes, rows_of(path))))
                except UnreadableRow:
                    count.pass_over(path)


def _foreign(root: Path, stone: Tombstone) -> int:
    ours = (*readable(), *(f"{suffix}{OPEN}" for suffix in readable()), f"{JSON_LINES}{BAD}", DRAFT)
    return sum(1 for path in _files(root, stone, "*") if not path.name.endswith(ours))


def _files(root: Path, stone: Tombstone, pattern: str) -> Iterable[Path]:
    return root.glob(f"{_FOLDERS.format(model=stone.model, version=stone.version)}/{pattern}")


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let one deletion happen after the other: two that rewrite the same file would bring back rows."""
    descriptor = opened_for_owner(root / _LOCK, os.O_RDWR)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
