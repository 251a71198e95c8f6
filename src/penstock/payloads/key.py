"""The secret of keyed hashes: one for each state directory, made when it is first needed."""

import errno
import os
import secrets
from pathlib import Path
from typing import Final

FILE: Final = "payloads.key"
_BYTES: Final = 32


def key_of(state_dir: Path) -> bytes:
    """Return the key in force; makes directory and file (mode 0600) if they are not there. Blocks.

    Raises `OSError`, also for a file that holds no key.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    path = state_dir / FILE
    if not path.exists():
        _write(path, secrets.token_hex(_BYTES))
    return keys_of(state_dir)[0]


def keys_of(state_dir: Path) -> list[bytes]:
    """Return the key in force and those before it, which still find what was hashed by them: one a line, the newest first. Blocks.

    Raises `OSError`, also for a file that holds no key.
    """
    path = state_dir / FILE
    try:
        keys = [bytes.fromhex(line) for line in path.read_text().split()]
    except ValueError as error:
        raise _no_key(path) from error
    if not keys:
        raise _no_key(path)
    return keys


def _no_key(path: Path) -> OSError:
    return OSError(errno.EINVAL, "the file holds no key; remove it to have a new one made", str(path))


def _write(path: Path, text: str) -> None:
    """Write by link, so that two servers that start together agree on one key."""
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
