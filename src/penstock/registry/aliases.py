"""The file `aliases.json` of a model's directory: read, and written by one writer at a time."""

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from penstock.domain.errors import BadArtifact, NotFound
from penstock.domain.names import is_alias, is_version_number
from penstock.registry.durable import put_in_place
from penstock.registry.plain_files import NotPlain, open_plain_in, plain_folder
from penstock.registry.source import ReadOnlyRegistry, RegistryUnreachable

ALIASES: Final = "aliases.json"
LOCK: Final = ".aliases.lock"
_MAX_BYTES: Final = 1024 * 1024
_PATIENCE_S: Final = 10.0
_PAUSE_S: Final = 0.005
CANNOT_CHANGE: Final = "the aliases cannot be changed"


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


def known_aliases(read: Callable[[], bytes], cannot: str) -> dict[str, int]:
    """Return the aliases as they are; a file that cannot be understood is not taken for empty, for it may hold some.

    Raises `BadArtifact`, which begins with what `cannot` be done now.
    """
    try:
        return parse_aliases(read().decode())
    except (ValueError, RecursionError) as error:  # a link in its place is a ValueError too
        raise BadArtifact(f"{cannot}: {error}; mend or remove the file first") from error


def aliases_in(folder: int) -> bytes:
    """Return what the file in the folder of that descriptor holds, nothing if there is none; raises ValueError or OSError."""
    try:
        descriptor = open_plain_in(folder, ALIASES)
    except FileNotFoundError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"{ALIASES} is larger than {_MAX_BYTES} bytes")
    return content


def write_alias(directory: Path, alias: str, number: int | None) -> None:
    """Move an alias of the model in that directory, or remove it with None; nothing is written that is so already.

    Blocks; a reader sees the file before or after. Neither the directory nor anything in it may be a link. Raises `NotFound` for a
    model or version without a directory, `ReadOnlyRegistry` where nothing may be written, `BadArtifact` for a file that cannot be read
    as it is, `RegistryUnreachable` for other failures.
    """
    try:
        with plain_folder(directory.parent, [directory.name]) as folder, locked(folder, directory.name):
            _check_version(folder, directory.name, number)
            before = known_aliases(lambda: aliases_in(folder), CANNOT_CHANGE)
            after = moved(before, alias, number)
            if after != before:
                put_in_place(folder, ALIASES, aliases_text(after).encode(), _rights(folder))
    except NotPlain as error:
        raise BadArtifact(f"{CANNOT_CHANGE}: {error}") from error
    except OSError as error:
        raise _told(directory, error) from error


@contextlib.contextmanager
def locked(folder: int, model: str) -> Iterator[None]:
    """Keep other writers of the aliases in that model's folder out, in any process; blocks until it is this one's turn.

    The lock ends with its process, however that ends. Raises `OSError`, `RegistryUnreachable` after 10 s.
    """
    descriptor = _opened_lock(folder)
    try:
        _take(descriptor, model)
        yield
    finally:
        os.close(descriptor)


def _opened_lock(folder: int) -> int:
    """Open the lock: to write, as NFS asks of whoever takes it, or only to read where another user has made it."""
    flags = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(LOCK, os.O_RDWR | flags, 0o666, dir_fd=folder)
    except PermissionError:
        return os.open(LOCK, os.O_RDONLY | flags, 0o666, dir_fd=folder)


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


def _check_version(folder: int, model: str, number: int | None) -> None:
    if number is None:
        return
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(str(number), dir_fd=folder, follow_symlinks=False).st_mode):
            return
    raise NotFound(f"model {model!r} has no version {number} in the registry; an alias names a version that is there")


def _rights(folder: int) -> int | None:
    """Return the rights that the file has now, None if there is none."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IMODE(os.stat(ALIASES, dir_fd=folder, follow_symlinks=False).st_mode)
    return None


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
