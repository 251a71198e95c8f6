"""What was said of predictions that are deleted goes with them: it names no subject, and is found by their request ids."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from penstock.payloads.deletion_count import DeletionCount
from penstock.payloads.feedback_record import FOLDER, FOLDERS
from penstock.payloads.layout import BAD, JSON_LINES, OPEN
from penstock.payloads.open_file import make_private, sync_directory
from penstock.payloads.reading import requests_in
from penstock.payloads.removal import take_out
from penstock.payloads.tombstones import ALWAYS, Tombstone, Tombstones, write_down

Requests = dict[str, set[str]]
"""Request ids by model."""


def requests_of(paths: Iterator[Path], stone: Tombstone, known: Requests | None = None) -> Requests:
    """Return which predictions in files are to go, beside those that are known. Damaged files are passed over. Raises `OSError`."""
    found: Requests = defaultdict(set) if known is None else known
    tombstones = Tombstones([stone])
    for path in paths:
        with contextlib.suppress(
            FileNotFoundError, ValueError
        ):  # it was sealed or sent meanwhile; or it is damaged, which is told elsewhere
            for model, request_id in requests_in(path, tombstones):
                found[model].add(request_id)
    return found


def delete_words(root: Path, requests: Mapping[str, set[str]], until: str, count: DeletionCount, *, dry_run: bool) -> None:
    """Delete what was said of predictions, and note how many rows of each file go.

    Those in a file that is being written go when it is finished, and so does what is said of the predictions later, which is why the time
    does not count; until then the deletion lasts. Raises `OSError`.
    """
    folder = root / FOLDER
    stones = [
        Tombstone(subjects=frozenset(), requests=frozenset(ids), before=ALWAYS, model=model, until=until) for model, ids in requests.items()
    ]
    if not stones or not folder.is_dir():
        return
    tombstones = Tombstones(stones)
    _count_open(folder, tombstones, count)  # before and after it is written down, see `delete`
    if not dry_run:
        make_private(folder)
        for stone in stones:
            write_down(folder, stone, FOLDERS)
        _count_open(folder, tombstones, count)
    for path in _files(folder, f"*{JSON_LINES}", f".*{JSON_LINES}{BAD}"):
        count.take(path, _taken_out(path, tombstones, dry_run=dry_run))


def _count_open(folder: Path, tombstones: Tombstones, count: DeletionCount) -> None:
    """Note how many rows of each file go that is being written."""
    for path in _files(folder, f".*{JSON_LINES}{OPEN}"):
        with contextlib.suppress(FileNotFoundError):  # it has been finished meanwhile
            count.wait(path, take_out(path, tombstones, dry_run=True))


def _files(folder: Path, *patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(f"{FOLDERS}/{pattern}"))


def _taken_out(path: Path, tombstones: Tombstones, *, dry_run: bool) -> int:
    try:
        gone = take_out(path, tombstones, dry_run=dry_run)
    except FileNotFoundError:  # it has become too old
        return 0
    if gone and not dry_run:
        sync_directory(path.parent)
    return gone
