"""What the cache remembers of registries: which copy a version was found to be, and what was there when last looked at."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from penstock.registry.source import Fingerprint, ModelListing, Snapshot

_INDEX: Final = "index"
_SNAPSHOTS: Final = "snapshots"
_DRAFT: Final = ".draft-"
_UNWRITABLE: Final = (OverflowError, ValueError)
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


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
        """Keep a snapshot for a start without the registry, as far as it can be written down."""
        models = {name: _writable_part(model) for name, model in snapshot.models.items()}
        ignored = tuple(filter(_is_writable, snapshot.ignored))
        _write(self._snapshots / _name(uri), Snapshot({name: model for name, model in models.items() if model}, ignored))


def _name(key: object) -> str:
    return hashlib.sha256(msgspec.json.encode(key)).hexdigest()


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind, dec_hook=_from_text)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None


def _write(path: Path, value: object) -> None:
    """Replace a file at once; a failure leaves the old one, and costs a copy or an offline start at most."""
    try:
        content = _encoded(value)
        descriptor, draft = tempfile.mkstemp(prefix=_DRAFT, dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(draft).replace(path)
    except _UNWRITABLE as error:
        _log.warning("the cache cannot remember what is in the registry: %s", error)
    except OSError as error:
        _log.warning("the cache cannot remember what is in the registry: %s; free space, or see who may write there", error.strerror)


def _encoded(value: object) -> bytes:
    """Return JSON; raises one of `_UNWRITABLE` for names that are no text and integers beyond 64 bits, which settings may hold."""
    return msgspec.json.encode(value, enc_hook=_to_text)


def _is_writable(value: object) -> bool:
    try:
        _encoded(value)
    except _UNWRITABLE as error:
        _log.debug("not kept for a start without the registry: %s", error)
        return False
    return True


def _writable_part(model: ModelListing) -> ModelListing | None:
    """Return the model without versions that cannot be written down, None if that is not all: an odd one must not cost the others."""
    versions = {number: version for number, version in model.versions.items() if _is_writable(version)}
    part = replace(model, versions=versions)
    kept = part if _is_writable(part) else None
    if kept is None or len(versions) < len(model.versions):
        _log.warning(
            "not all of the model %s would serve after a start without the registry: it has names or settings that JSON cannot hold",
            model.name,
        )
    return kept


def _to_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"a snapshot holds a {type(value).__name__}")


def _from_text(kind: type, value: object) -> object:
    return Path(str(value)) if issubclass(kind, Path) else value
