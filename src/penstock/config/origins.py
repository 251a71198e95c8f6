"""Where a value came from, and how keys and values are written for people."""

import json
import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SECRETS: Final = ("secret", "password", "key.pem")
"""The ends of keys whose values nobody sees; some are librdkafka's."""
_PASSWORD: Final = re.compile(r"(://[^/@\s]*?:)[^/@\s]*@")
_LONGEST: Final = 120


class Origin(NamedTuple):
    """The place that set a value: what kind of place, and its own name (a file, a variable, a flag)."""

    source: Literal["default", "file", "environment", "flag"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.source} {self.name}".rstrip()


DEFAULT: Final = Origin("default")


def dotted(path: Iterable[str]) -> str:
    """Return a key as TOML writes it, with quotes around the parts that need them."""
    return ".".join(part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False) for part in path)


def variable(path: Iterable[str]) -> str:
    """Return the name of the environment variable that sets a key."""
    return "PENSTOCK_" + "__".join(path).upper()


def written(value: object) -> str:
    """Return a value as a message may show it: strings quoted, passwords hidden, nothing endless."""
    text = json.dumps(masked(value), ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def shown_at(key: str, value: object) -> object:
    """Return the value of a setting as people may see it: nothing of a secret, and of all others what `masked` leaves."""
    return "***" if value and key.rstrip('"').endswith(_SECRETS) else masked(value)


def masked(value: object) -> object:
    """Return the value with the password of every address in it replaced by stars."""
    if isinstance(value, str):
        return _PASSWORD.sub(r"\1***@", value)
    if isinstance(value, list):
        return [masked(item) for item in value]
    if isinstance(value, dict):
        return {key: shown_at(str(key), item) for key, item in value.items()}
    return value
