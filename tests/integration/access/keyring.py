"""Keys of all kinds, and the file that holds them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from serving import Serving

from penstock.security.keys import Key, KeysFile, digest_of

Keyed = Callable[..., AbstractContextManager[Serving]]
"""Runs a server with a file of keys, `keys.json` in its home, as long as the context lasts."""

SECRETS: Final = {name: f"psk_{name}_0123456789abcdefghijklmnopqrstuvwxyz" for name in ("caller", "reader", "ops", "one", "all")}
KEYS: Final = (
    Key(name="caller", sha256=digest_of(SECRETS["caller"]), scopes=["predict"]),
    Key(name="reader", sha256=digest_of(SECRETS["reader"]), scopes=["read"]),
    Key(name="ops", sha256=digest_of(SECRETS["ops"]), scopes=["manage"]),
    Key(name="one", sha256=digest_of(SECRETS["one"]), scopes=["predict", "read", "manage"], models=["id_fp32"]),
    Key(name="all", sha256=digest_of(SECRETS["all"]), scopes=["predict", "read", "manage"]),
)


def bearer(name: str) -> dict[str, str]:
    """Return the header, or metadata, of one of the keys."""
    return {"authorization": f"Bearer {SECRETS.get(name, name)}"}


def put(path: Path, *keys: Key, mode: int = 0o600) -> None:
    """Write a file of keys as commands do: at once."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(KeysFile(list(keys)).written())
    draft.chmod(mode)
    draft.replace(path)


def keys_file(serving: Serving) -> Path:
    """Return the file of keys of a server."""
    return serving.state.parent / "keys.json"
