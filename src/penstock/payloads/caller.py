"""Whose key a prediction came with, as the settings want it recorded."""

from functools import lru_cache
from typing import Literal

from penstock.payloads.redaction import digest_of

_MOST = 1024


class CallerColumn:
    """Turns names into what the column holds."""

    def __init__(self, kind: Literal["name", "hash", "off"], key: bytes) -> None:
        """`key` is the secret of hashes."""
        self._kind = kind
        self._hashed = lru_cache(_MOST)(lambda name: digest_of(name.encode("utf-8", "surrogatepass"), key))

    def of(self, name: str) -> str:
        """Return what is recorded of a name, "" for nothing."""
        if self._kind == "hash":
            return self._hashed(name)
        return name if self._kind == "name" else ""
