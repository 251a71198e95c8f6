"""Whose rows are to go, written down so that files which are still being written lose them before anybody sees these files.

The list lies with the files, so that every server and command that writes or reads there honours it, whatever its state directory is.
"""

import contextlib
import fcntl
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import orjson

from penstock.payloads.layout import FOLDERS
from penstock.payloads.owner import opened_for_owner
from penstock.payloads.rewriting import DRAFT

LIST: Final = ".deletions"
_MARK: Final = b'"subject":"'
"""Stands in a line once: within a text JSON escapes its quotes."""
ANY: Final = "*"
ALWAYS: Final = "~"
"""Is after every time."""


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """One deletion."""

    subjects: frozenset[str]
    """The hashes of one subject, by each key that there was."""
    before: str
    """Rows of predictions that ended earlier go; in the form of their column `timestamp`."""
    model: str = ANY
    version: str = ANY
    requests: frozenset[str] = frozenset()
    """Of what was said of predictions that are gone: their request ids."""
    until: str = ALWAYS
    """When no file can hold its rows any more; in the same form."""

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row is to go."""
        if self.model not in {ANY, row["model"]} or self.version not in {ANY, row["version"] or "none"}:
            return False
        if str(row["timestamp"]) >= self.before:
            return False
        return row.get("request_id") in self.requests or not self.subjects.isdisjoint(str(row.get("subject", "")).split())


class Tombstones:
    """All deletions of a directory of recorded payloads. Blocks."""

    def __init__(self, stones: Iterable[Tombstone]) -> None:
        self._stones: Final = tuple(stones)
        self._by_subject: Final[dict[str, list[Tombstone]]] = defaultdict(list)
        self._by_request: Final[dict[str, list[Tombstone]]] = defaultdict(list)
        for stone in self._stones:
            for subject in stone.subjects:
                self._by_subject[subject].append(stone)
            for request in stone.requests:
                self._by_request[request].append(stone)
        self._subjects: Final = {subject.encode() for subject in self._by_subject}

    @classmethod
    def of(cls, root: Path) -> Self:
        """Return the deletions that are written down; raises `OSError`."""
        try:
            lines = (root / LIST).read_bytes().splitlines()
        except FileNotFoundError:
            return cls(())
        return cls(filter(None, map(_stone, lines)))

    def __bool__(self) -> bool:
        return bool(self._stones)

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row is to go."""
        stones = self._by_request.get(row["request_id"], ()) if self._by_request else ()
        named = (self._by_subject.get(subject, ()) for subject in str(row.get("subject", "")).split())
        return any(stone.takes(row) for stone in chain(stones, *named))

    def living(self, now: str) -> list[Tombstone]:
        """Return the deletions whose rows a file may still hold."""
        return [stone for stone in self._stones if stone.until > now]

    def leaves(self, subject: bytes) -> bool:
        """Tell whether no row of these subjects, a space between them, is to go."""
        return self._subjects.isdisjoint(subject.split())

    def takes_line(self, line: bytes) -> bool:
        """Tell whether a line of a file is to go; one that is no row goes if nothing tells that it stays."""
        start = line.find(_MARK) + len(_MARK)
        if not self._by_request and (start < len(_MARK) or self.leaves(line[start : line.find(b'"', start)])):
            return False
        try:
            return self.takes(orjson.loads(line))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return True


def write_down(root: Path, stone: Tombstone, folders: str = FOLDERS) -> None:
    """Add a deletion; from when this returns no file appears that holds its rows. Those that no file can hold rows of any more go.

    One at a time: what killed ones have left is removed, since nobody rewrites a file now. Raises `OSError`.
    """
    draft = root / f"{LIST}{DRAFT}"
    with _locked(root) as descriptor:
        for left in (draft, *root.glob(f"{folders}/.*{DRAFT}")):
            left.unlink(missing_ok=True)
        _write(draft, [*Tombstones.of(root).living(timestamp(datetime.now(UTC))), stone])
        draft.replace(root / LIST)
        os.fsync(descriptor)


@contextlib.contextmanager
def finishing(root: Path) -> Iterator[Tombstones]:
    """Have the deletions that a file needs to be without when it gets its name, which it has to before the context ends. Raises `OSError`.

    The list stays locked meanwhile: whoever deletes finds the file either without its name, and this finds the deletion, or with it.
    """
    with _locked(root):
        yield Tombstones.of(root)


def state_of(root: Path) -> tuple[int, ...] | None:
    """Return what changes with every deletion that is written down; None before the first. Costs microseconds; raises `OSError`."""
    try:
        stat = (root / LIST).stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns  # it is replaced as a whole


def time_of(text: str) -> datetime:
    """Return the time that a text says, in UTC where it names no offset; raises ValueError."""
    at = datetime.fromisoformat(text)
    try:
        return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"the calendar of UTC does not have {text}") from error


def timestamp(at: datetime) -> str:
    """Return a time in the form of the column `timestamp`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _write(draft: Path, stones: Iterable[Tombstone]) -> None:
    with os.fdopen(opened_for_owner(draft, os.O_WRONLY), "wb") as file:
        file.writelines(msgspec.json.encode(stone) + b"\n" for stone in stones)
        file.flush()
        os.fsync(file.fileno())


def _stone(line: bytes) -> Tombstone | None:
    """Return what a line says, None for one that a kill has torn."""
    try:
        return msgspec.json.decode(line, type=Tombstone) if line else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[int]:
    """Yield the descriptor of the directory."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: a deletion then has to be repeated after the next seal
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
