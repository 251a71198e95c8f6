"""The file of API keys: what it holds of each is a digest and what its bearer may do, never the key."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec

from penstock.domain.caller import Action
from penstock.domain.names import is_model_name
from penstock.security.private_file import read_private

_PREFIX: Final = "psk_"
_SECRET_BYTES: Final = 32
_LONGEST_BYTES: Final = 16 * 1024 * 1024
_ID_DIGITS: Final = 12

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One key. Keys of one name belong to one tenant: while a key is replaced, the old and the new one have the same name."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}\Z")]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    scopes: Annotated[list[Action], msgspec.Meta(min_length=1)]
    models: list[str] | None = None
    """The models that it is for; None for all."""
    rate: _Positive | None = None
    """Predictions per second; None leaves it to `security.rate`."""
    burst: _Positive | None = None
    """Predictions that may come at once; None for as many as a second allows."""
    max_in_flight: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    """Predictions that may be under way; None leaves it to `security.max_in_flight`."""
    weight: Annotated[float, msgspec.Meta(ge=0.01, le=100)] = 1.0
    """The tenant's part of a queue that others wait in too, against theirs."""
    expires: _Instant | None = None
    created: _Instant | None = None

    @property
    def id(self) -> str:
        """What people call it by: the first digits of the digest, which tell nothing of the key."""
        return self.sha256[:_ID_DIGITS]


class KeysFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All keys."""

    keys: list[Key] = []

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what a file holds. Raises `OSError`, and `ValueError` for what is no file of keys or may be read by everybody."""
        try:
            file = msgspec.json.decode(read_private(path, _LONGEST_BYTES), type=cls)
        except msgspec.DecodeError as error:  # a ValidationError is one; neither holds more than the path of a field
            raise ValueError(f"it is no file of keys: {error}") from error
        _check(file.keys)
        return file

    def written(self) -> bytes:
        """Return the file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def found(self, text: str) -> list[Key]:
        """Return the keys of a name, or the one of an id."""
        return [key for key in self.keys if text in (key.name, key.id)]

    def without(self, gone: Sequence[Key]) -> "KeysFile":
        """Return all keys but those."""
        return KeysFile([key for key in self.keys if key not in gone])


def new_secret() -> str:
    """Return a new key: 256 random bits behind a prefix by which scanners of leaked secrets know it."""
    return f"{_PREFIX}{secrets.token_urlsafe(_SECRET_BYTES)}"


def digest_of(secret: str) -> str:
    """Return what the file holds of a key. It needs no salt and no slow hash: nobody guesses 256 random bits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _check(keys: Sequence[Key]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key.sha256 in seen:
            raise ValueError(f"the key {key.id} is there twice; leave one of the two out")
        seen.add(key.sha256)
        for model in key.models or ():
            if not is_model_name(model):
                raise ValueError(f"the key {key.id} is for {model!r}, which is no name of a model")
