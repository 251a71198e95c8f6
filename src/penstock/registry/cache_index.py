"""What the cache remembers of registries: which copy a version was found to be, and what was there when last looked at."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from penstock.registry.source import Fingerprint, Snapshot

_INDEX: Final = "index"
_SNAPSHOTS: Final = "snapshots"
_DRAFT: Final = ".draft-"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Place:
    """One version where it lies."""

    uri: str
    model: str
    number: int


@dataclass(frozen=True, slots=True)
class _Found:
    """What a version was when it was copied."""

    fingerprint: Fingerprint
    digest: str


class CacheIndex:
    """Small files in the cache's directory, each replaced at once. What cannot be read is as if it had never been kept."""

    def __init__(self, directory: Path) -> None:
        """Touch nothing yet."""
        self._index = directory / _INDEX
        self._snapshots = directory / _SNAPSHOTS

    def make_ready(self) -> None:
        """Make the directories that are not there; raises OSError."""
        for folder in (self._index, self._snapshots):
            folder.mkdir(mode=0o700, exist_ok=True)

    def sweep(self) -> None:
        """Remove what crashed processes left; raises OSError."""
        for folder in (self._index, self._snapshots):
            for draft in folder.glob(f"{_DRAFT}*"):  # of a crashed process; a live one loses a record at most
                draft.unlink(missing_ok=True)

    def digest(self, place: Place, fingerprint: Fingerprint) -> str:
        """Return the digest of the copy that was made of a version with that fingerprint, "" if there was none."""
        found = _read(self._index / _name(place), _Found)
        return found.digest if found and found.fingerprint == fingerprint else ""

    def record(self, place: Place, fingerprint: Fingerprint, digest: str) -> None:
        """Remember the copy of a version, in place of the one before."""
        _write(self._index / _name(place), _Found(fingerprint, digest))

    def prune(self, has: Callable[[str], bool]) -> None:
        """Forget the versions whose copies are gone."""
        for path in self._index.iterdir():
            found = _read(path, _Found)
            if found is None or not has(found.digest):
                path.unlink(missing_ok=True)

    def snapshot(self, uri: str) -> Snapshot | None:
        """Return the last snapshot of a registry that was kept."""
        return _read(self._snapshots / _name(uri), Snapshot)

    def keep_snapshot(self, uri: str, snapshot: Snapshot) -> None:
        """Keep a snapshot for a start without the registry."""
        _write(self._snapshots / _name(uri), snapshot)


def _name(key: object) -> str:
    return hashlib.sha256(msgspec.json.encode(key)).hexdigest()


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind, dec_hook=_from_text)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None


def _write(path: Path, value: object) -> None:
    """Replace a file at once; a failure leaves the old one, and costs a copy or an offline start at most.

    JSON of msgspec does not take integers beyond 64 bits or names that are no text; a settings file or a directory may hold some.
    """
    with contextlib.suppress(OSError, OverflowError, ValueError):
        content = msgspec.json.encode(value, enc_hook=_to_text)
        descriptor, draft = tempfile.mkstemp(prefix=_DRAFT, dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(draft).replace(path)


def _to_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"a snapshot holds a {type(value).__name__}")


def _from_text(kind: type, value: object) -> object:
    return Path(str(value)) if issubclass(kind, Path) else value
