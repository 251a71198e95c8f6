"""The admin token: one secret for management, made at the first start."""

import hmac
import os
import secrets
from pathlib import Path
from typing import Final, Self

from penstock.domain.errors import Bar, Unauthenticated

_FILE: Final = "admin.token"
_SCHEME: Final = "bearer "


class AdminToken:
    """Compares what callers show with the token in the state directory. Hardened to untrusted callers."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    @classmethod
    def of(cls, state_dir: Path) -> Self:
        """Return the token of a state directory; makes directory and token (mode 0600) if they are not there.

        Raises `OSError` if the directory cannot be written.
        """
        state_dir.mkdir(parents=True, exist_ok=True)
        path = state_dir / _FILE
        if not path.exists():
            _write(path, secrets.token_urlsafe(32))
        return cls(path.read_text().strip())

    def require(self, header: str | None) -> None:
        """Raise `Unauthenticated` unless the header is `Bearer` and the token; takes the same time whatever is wrong."""
        shown = header or ""
        given = shown[len(_SCHEME) :].strip() if shown.lower().startswith(_SCHEME) else ""
        if not self._token or not hmac.compare_digest(given.encode(), self._token):
            raise Unauthenticated(
                f"management needs the header 'authorization: Bearer <token>'; the token is in the file {_FILE} of the server's "
                "state directory",
                Bar.ADMIN_TOKEN,
            )


class KeyedManagement(AdminToken):
    """Stands where the token would on a server that has keys: its doors have asked for a key that may manage before anybody asks here."""

    def __init__(self) -> None:
        super().__init__("")

    def require(self, header: str | None) -> None:
        """Return: see `http/door.py` and `grpc/guard.py`."""


def _write(path: Path, token: str) -> None:
    """Write by rename, so that two servers that start together agree on one token."""
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
