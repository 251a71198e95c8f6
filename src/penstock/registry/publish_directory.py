"""Publishing into a directory: a hidden folder is filled, made durable, and renamed onto its number."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

from penstock.domain.errors import BadArtifact
from penstock.domain.names import is_version_number
from penstock.registry.aliases import aliases_in, locked
from penstock.registry.candidate import Candidate, Progress
from penstock.registry.durable import DRAFT, put_in_place, sync, write
from penstock.registry.model_folder import DELETED, TRITON
from penstock.registry.plain_files import NotPlain, plain_folder
from penstock.registry.publisher import Last, missing_version, refuse_named, refuse_other_config
from penstock.registry.source import ReadOnlyRegistry, RegistryUnreachable

_ABANDONED_S: Final = 24 * 3600.0
"""After so long without a write a draft's publisher is taken for dead."""
_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


class DirectoryPublisher:
    """Writes into a local directory, which readers may look at all the while."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def place(self, model: str, candidate: Candidate, last: Last, progress: Progress) -> int:
        """Write the next version; see `Publisher.place`."""
        with self._told(model):
            folder = self._model(model)
            filled = folder / f"{DRAFT}{uuid4().hex}"
            filled.mkdir()
            try:
                _tidy(folder, filled.stat().st_mtime)
                for name in candidate.files:
                    write(filled / name, candidate.chunks(name, progress))
                return _settle(filled, last, lambda: self._bring(model, candidate.config))
            finally:
                shutil.rmtree(filled, ignore_errors=True)  # which is gone if it became the version

    def replace(self, model: str, number: int, name: str, content: bytes) -> None:
        """Write one small file of a version at once."""
        with self._told(model), plain_folder(self._root, [model, str(number)]) as folder:
            put_in_place(folder, name, content)

    def config(self, model: str) -> bytes | None:
        """Return what the versions share; see `Publisher.config`."""
        folder = self._root / model
        with self._told(model):
            try:
                return (folder / TRITON).read_bytes()
            except FileNotFoundError:
                return b"" if folder.is_dir() and _next(folder) > 1 else None

    def _bring(self, model: str, config: str) -> None:
        """Write the config.pbtxt of a first version, in place of none; raises `LoadRefused` where there is another one."""
        if not config:
            return
        with plain_folder(self._root, [model]) as folder, locked(folder, model):
            there = self.config(model)
            refuse_other_config(model, config, there)
            if there is None:
                put_in_place(folder, TRITON, config.encode())

    def delete(self, model: str, number: int) -> None:
        """Remove a version; see `Publisher.delete`. An empty hidden folder stays, and keeps the number."""
        folder = self._root / model
        buried = folder / f"{DELETED}{number}"
        if not (folder / str(number)).is_dir():
            raise missing_version(model, number)
        with self._told(model), plain_folder(self._root, [model]) as opened, locked(opened, model):
            refuse_named(model, number, lambda: aliases_in(opened))
            _empty(buried)
            (folder / str(number)).rename(buried)
            sync(folder)
            _empty(buried)

    def _model(self, model: str) -> Path:
        """Return the model's directory, made if there is none."""
        folder = self._root / model
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            sync(self._root)
        return folder

    @contextlib.contextmanager
    def _told(self, model: str) -> Iterator[None]:
        """Turn an operating system's error into what is wrong and what to do."""
        try:
            yield
        except NotPlain as error:
            raise BadArtifact(f"the registry's directory of {model!r} cannot be used: {error}") from error
        except PermissionError as error:
            raise ReadOnlyRegistry(f"the registry's directory of {model!r} cannot be written by this user") from error
        except OSError as error:
            if error.errno == errno.EROFS:
                raise ReadOnlyRegistry("the registry is on a file system that is mounted read-only") from error
            raise RegistryUnreachable(f"the registry's directory of {model!r} cannot be written: {error.strerror}") from error


def _settle(filled: Path, last: Last, bring: Callable[[], None]) -> int:
    """Give the filled folder its number: the first one that nobody has taken when it comes to the rename."""
    folder = filled.parent
    while True:
        number = _next(folder)
        for name, content in last(number).items():
            (filled / name).unlink(missing_ok=True)  # of the number before
            write(filled / name, [content])
        _sync_below(filled)
        bring()
        try:
            filled.rename(folder / str(number))
        except OSError as error:
            if error.errno in _TAKEN:
                continue
            raise
        sync(folder)
        return number


def _next(folder: Path) -> int:
    """Return the number after the highest that any version has or had; whatever lies there under a number counts."""
    names = (entry.name.removeprefix(DELETED) for entry in folder.iterdir())
    return 1 + max((int(name) for name in names if is_version_number(name)), default=0)


def _sync_below(folder: Path) -> None:
    """Make the names in a folder and in all folders below it durable."""
    for path, _, _ in os.walk(folder, topdown=False):
        sync(Path(path))


def _tidy(folder: Path, now_s: float) -> None:
    """Remove what dead publishers left; `now_s` is by the clock of the file system, as the times of the files are."""
    for entry in folder.glob(f"{DRAFT}*"):
        if now_s - _last_write_s(entry) > _ABANDONED_S:
            # The rename takes it from a publisher that only slept: that one then fails instead of publishing half of it.
            dead = folder / f"{DRAFT}{uuid4().hex}"
            with contextlib.suppress(OSError):  # what cannot be removed is in nobody's way
                entry.rename(dead)
                _remove(dead)
    for entry in folder.glob(f"{DELETED}*"):
        with contextlib.suppress(OSError):
            _empty(entry)


def _last_write_s(draft: Path) -> float:
    """Return when a file, or something in a folder, was last written, in seconds since 1970; its owner may take it away meanwhile."""
    times = [0.0]
    below = (Path(path, name) for path, _, names in os.walk(draft) for name in (".", *names))
    for path in (draft, *below):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.lstat().st_mtime)
    return max(times)


def _empty(folder: Path) -> None:
    """Remove what is in a folder, if it is there, and leave the folder itself."""
    with contextlib.suppress(FileNotFoundError):
        for entry in list(folder.iterdir()):
            _remove(entry)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
