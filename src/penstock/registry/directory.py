"""A registry in a directory, in Triton's layout: `<model>/<version>/model.onnx`."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.domain.errors import BadArtifact, NotFound
from penstock.domain.names import is_model_name, shown
from penstock.registry.aliases import write_alias
from penstock.registry.model_folder import MAX_SETTINGS_BYTES, SETTINGS, TRITON, listing_of
from penstock.registry.plain_files import FoundFile, NotPlain, files_below, open_plain_file, plain_folder
from penstock.registry.source import Fingerprint, ModelListing, RegistryUnreachable, Snapshot, SourceFile, VersionListing

_CHUNK_BYTES: Final = 1024 * 1024


class DirectorySource:
    """Models in a local directory. Nothing below it is trusted: no link is followed, and graphs are for others to check."""

    def __init__(self, root: Path) -> None:
        self.root: Final = root
        self.uri: Final = root.absolute().as_uri()

    def snapshot(self) -> Snapshot:
        """Return what is there now; raises `RegistryUnreachable`."""
        try:
            with os.scandir(self.root) as entries:
                names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
        except OSError as error:
            raise RegistryUnreachable(f"the registry directory {self.root} cannot be read: {error.strerror}") from error
        ignored = [f"{name!r}: not a valid model name" for name in names if not is_model_name(name)]
        models = {name: self._listing(name, ignored) for name in names if is_model_name(name)}
        return Snapshot(models, tuple(ignored))

    def files(self, model: ModelListing, version: VersionListing) -> Sequence[SourceFile]:
        """Return every file of a version; raises `BadArtifact` for a link, and where the files are no longer those that were listed."""
        folder = _Folder(self.root, model.name)
        try:
            found = folder.files(str(version.number))
        except NotPlain as error:
            raise BadArtifact(str(error)) from error
        except OSError as error:
            raise BadArtifact(f"the version's directory cannot be read: {error.strerror}") from error
        _check_plain(found)
        if folder.settings_fingerprint() + _stamps(found) != version.fingerprint:
            raise BadArtifact("the version's files have changed since they were listed; the next look at the registry tries again")
        return [DirectoryFile(self.root, (model.name, str(version.number)), file) for file in found]

    def set_alias(self, model: str, alias: str, number: int | None) -> None:
        """Move an alias, or remove it with None; raises what `write_alias` raises."""
        if not is_model_name(model):
            raise NotFound(f"the registry has no model {shown(model)}")
        write_alias(self.root / model, alias, number)

    def _listing(self, name: str, ignored: list[str]) -> ModelListing:
        try:
            with plain_folder(self.root, [name]):
                pass
        except NotPlain as error:
            return ModelListing(name, problem=str(error))
        except OSError as error:
            return ModelListing(name, problem=f"{name}: {error.strerror}")
        return listing_of(_Folder(self.root, name), ignored)


@dataclass(frozen=True, slots=True)
class DirectoryFile:
    """One regular file of a version, as it was when it was listed."""

    root: Path
    folder: tuple[str, str]
    found: FoundFile

    @property
    def name(self) -> str:
        """Relative to the version."""
        return self.found.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self.found.status.st_size

    def chunks(self) -> Iterator[bytes]:
        """Yield the content; raises `BadArtifact` if the file is no longer the one that was listed, or cannot be read."""
        try:
            descriptor = open_plain_file(self.root, (*self.folder, *self.name.split("/")))
        except (OSError, NotPlain) as error:
            raise BadArtifact(f"the file {shown(self.name)} cannot be opened: {_reason(error)}") from error
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            self._check_unchanged(descriptor)
            try:
                while piece := file.read(_CHUNK_BYTES):
                    yield piece
            except OSError as error:
                raise BadArtifact(f"the file {shown(self.name)} cannot be read: {error.strerror}") from error
            self._check_unchanged(descriptor)

    def _check_unchanged(self, descriptor: int) -> None:
        if _identity(os.fstat(descriptor)) != _identity(self.found.status):
            raise BadArtifact(f"the file {shown(self.name)} changed while the version was read; the next look at the registry tries again")


class _Folder:
    """The directory of one model, as `listing_of` reads it."""

    def __init__(self, root: Path, name: str) -> None:
        self.name: Final = name
        self._root = root

    def text(self, name: str) -> str:
        """Return a small file, "" if there is none; raises ValueError or OSError."""
        try:
            descriptor = open_plain_file(self._root, (self.name, *name.split("/")))
        except FileNotFoundError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(MAX_SETTINGS_BYTES + 1)
        if len(content) > MAX_SETTINGS_BYTES:
            raise ValueError(f"{name.rpartition('/')[2]} is larger than {MAX_SETTINGS_BYTES} bytes")
        return content.decode()

    def folders(self) -> list[str]:
        """Return the folders of the model, links to folders included: a listing tells what is wrong with them."""
        with plain_folder(self._root, [self.name]) as folder, os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())

    def fingerprint(self, name: str) -> Fingerprint:
        """Return the stamps of a file, or of all files below a folder; none for what cannot be read."""
        with suppress(OSError):  # it went away between the listing and now
            try:
                return _stamps(self.files(name))
            except (NotADirectoryError, NotPlain):
                return self._stamp(name)
        return ()

    def settings_fingerprint(self) -> Fingerprint:
        """Return the stamps of the settings that all versions share: they come first in the fingerprint of each."""
        return self.fingerprint(TRITON) + self.fingerprint(SETTINGS)

    def files(self, name: str) -> list[FoundFile]:
        """Return what lies below a folder of the model; raises `NotPlain` or OSError."""
        with plain_folder(self._root, [self.name, name]) as folder:
            return files_below(folder)

    def _stamp(self, name: str) -> Fingerprint:
        with plain_folder(self._root, [self.name]) as folder:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return _stamps([FoundFile(name, status)])


def _stamps(files: Sequence[FoundFile]) -> Fingerprint:
    # From a list: each tuple that is cut to its size stays in the interpreter's own, up to 2,000 of them, and looks are taken for ever.
    return tuple([(name, status.st_size, status.st_mtime_ns) for name, status in files])


def _check_plain(files: Sequence[FoundFile]) -> None:
    """Refuse links and special files, and a file that has another name elsewhere: it was put there without its bytes."""
    names = Counter(_inode(file.status) for file in files)
    for name, status in files:
        if stat.S_ISLNK(status.st_mode):
            raise BadArtifact(f"the file {shown(name)} is a link; a version holds regular files only, copy the file itself")
        if not stat.S_ISREG(status.st_mode):
            raise BadArtifact(f"{shown(name)} is no regular file; a version holds regular files only")
        if status.st_nlink > names[_inode(status)]:
            raise BadArtifact(f"the file {shown(name)} has another name outside the version (a hard link); copy the file itself")


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _reason(error: OSError | NotPlain) -> str:
    return (error.strerror or "it cannot be read") if isinstance(error, OSError) else str(error)
