"""The file of keys, as commands read and write it."""

import fcntl
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from penstock.cli.options import USAGE, with_settings
from penstock.config.load import Loaded
from penstock.registry.durable import put_in_place
from penstock.security.keys import KeysFile

_RIGHTS: Final = 0o600


def with_keys_file(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that find the file of keys, and as its first argument the file's path."""

    @with_settings
    @functools.wraps(command)
    def run(loaded: Loaded, keys_file: Path | None, **given: object) -> None:
        named = loaded.settings.security.keys_file
        if keys_file is None and not named:
            raise click.UsageError("no file of keys is named: set security.keys_file, or say --keys-file FILE")
        command(keys_file or Path(named), **given)

    path = click.Path(path_type=Path, dir_okay=False)
    return click.option("--keys-file", type=path, metavar="FILE", help="The file of keys. [default: by the settings]")(run)


def keys_in(path: Path) -> KeysFile:
    """Return what the file holds; a file that cannot be used ends the command with exit code 2."""
    try:
        return KeysFile.read(path)
    except OSError as error:
        raise _unusable(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _unusable(f"{path} cannot be used: {error}") from error


@contextmanager
def changing(path: Path) -> Iterator[tuple[KeysFile, Callable[[KeysFile], None]]]:
    """Yield what the file holds, none if it is not there, and what replaces it at once; nobody else changes it meanwhile.

    A link stays one: the file that it leads to is what servers read.
    """
    path = Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(f"{path.parent} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield keys_in(path) if path.exists() else KeysFile(), lambda file: _put(folder, path, file)
    finally:
        os.close(folder)


def _put(folder: int, path: Path, file: KeysFile) -> None:
    """Replace the file, and leave it to its owner: a server of another user could not read it any more, and would go by the old keys."""
    before = path.stat() if path.exists() else None
    kept = (_RIGHTS, None) if before is None else (before.st_mode, (before.st_uid, before.st_gid))
    try:
        put_in_place(folder, path.name, file.written(), *kept)
    except PermissionError as error:
        raise _unusable(f"{path} cannot be written: {error.strerror}; run this as its owner, or as root") from error
    except OSError as error:
        raise _unusable(f"{path} cannot be written: {error.strerror}") from error


def _unusable(message: str) -> click.exceptions.Exit:
    click.echo(message, err=True)
    return click.exceptions.Exit(USAGE)
