"""The file `aliases.json` of a model's directory: read, and written by one writer at a time."""

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from penstock.domain.errors import BadArtifact, NotFound
from penstock.domain.names import is_alias, is_version_number
from penstock.registry.source import ReadOnlyRegistry, RegistryUnreachable

ALIASES: Final = "aliases.json"
LOCK: Final = ".aliases.lock"
_MAX_BYTES: Final = 1024 * 1024
_PATIENCE_S: Final = 10.0
_PAUSE_S: Final = 0.005


def parse_aliases(text: str) -> dict[str, int]:
    """Return version numbers by alias, none for an empty text; raises `ValueError` that says what is wrong with it."""
    if not text.strip():
        return {}
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{ALIASES} is not valid JSON: {error}") from error
    if not isinstance(table, dict):
        raise ValueError(f'{ALIASES} is not an object such as {{"champion": "3"}}')  # noqa: TRY004 - invalid, whatever its type
    return {_alias(name): _target(name, number) for name, number in table.items()}


def aliases_text(aliases: Mapping[str, int]) -> str:
    """Return the file's content, in the order of the aliases' names."""
    return json.dumps({alias: str(number) for alias, number in sorted(aliases.items())}, indent=2) + "\n"


def moved(aliases: Mapping[str, int], alias: str, number: int | None) -> dict[str, int]:
    """Return the aliases with one of them moved, or removed with None."""
    others = {name: target for name, target in aliases.items() if name != alias}
    return others if number is None else {**others, alias: number}


def write_alias(directory: Path, alias: str, number: int | None) -> None:
    """Move an alias of the model in that directory, or remove it with None; nothing is written that is so already.

    Blocks; a reader sees the file before or after. Raises `NotFound` for a model or version without a directory, `ReadOnlyRegistry`
    where nothing may be written, `BadArtifact` for a file that cannot be read as it is, `RegistryUnreachable` for other failures.
    """
    try:
        with locked(directory):
            _check_version(directory, number)
            before = _present(directory / ALIASES)
            after = moved(before, alias, number)
            if after != before:
                _replace(directory / ALIASES, aliases_text(after).encode())
    except OSError as error:
        raise _told(directory, error) from error


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep every other writer of a model's aliases out, in any process; blocks until it is this one's turn.

    The lock ends with its process, however that ends. Raises `OSError`, `RegistryUnreachable` after 10 s.
    """
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        _take(descriptor, directory.name)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, model: str) -> None:
    until = monotonic() + _PATIENCE_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if monotonic() > until:
                raise RegistryUnreachable(
                    f"another writer has held the aliases of {model!r} for more than {_PATIENCE_S:g} s; try again when it is done"
                ) from error
            sleep(_PAUSE_S)


def _check_version(directory: Path, number: int | None) -> None:
    if number is not None and not (directory / str(number)).is_dir():
        raise NotFound(f"model {directory.name!r} has no version {number} in the registry; an alias names a version that is there")


def _present(path: Path) -> dict[str, int]:
    """Return the aliases as they are; a file that cannot be understood is not written over, for it may hold others."""
    if not path.exists():
        return {}
    if path.stat().st_size > _MAX_BYTES:
        raise BadArtifact(f"{ALIASES} is larger than {_MAX_BYTES} bytes; mend or remove it first")
    try:
        return parse_aliases(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadArtifact(f"the aliases cannot be changed: {error}; mend or remove the file first") from error


def _replace(path: Path, content: bytes) -> None:
    """Put the content in the file's place at once and durably, with the rights that the file had; call it under the lock."""
    draft = path.with_name(f".{path.name}.draft")  # one writer, one draft: what a crash leaves is written over
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            if path.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(directory: Path, error: OSError) -> Exception:
    """Return the refusal that an operating system's error means; its own text holds a path, which no answer may."""
    model = directory.name
    if isinstance(error, FileNotFoundError | NotADirectoryError) and directory.parent.is_dir():
        return NotFound(f"the registry has no model {model!r}")
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return ReadOnlyRegistry(
            f"the registry's directory of {model!r} cannot be written by this process; move the alias where the registry is written"
        )
    return RegistryUnreachable(f"the aliases of {model!r} cannot be written: {error.strerror}")


def _alias(name: str) -> str:
    if not is_alias(name):
        raise ValueError(f"{ALIASES}: {name!r} is not a valid alias; use letters, digits, '_' and '-', not 'latest' or 'v<number>'")
    return name


def _target(name: str, number: object) -> int:
    if not is_version_number(str(number)):
        raise ValueError(f"{ALIASES}: {name!r} names {number!r}, which is not a version number")
    return int(str(number))
