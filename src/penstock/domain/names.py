"""What may be a name: one place turns a caller's text into identifiers, so that no other place has to doubt them."""

import re
from typing import Final

from penstock.domain.errors import InvalidInput, NotFound

_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")
_ALIAS: Final = re.compile(r"[A-Za-z_][\w-]{0,127}", re.ASCII)
_RESERVED_ALIAS: Final = re.compile(r"latest|v[0-9]+", re.IGNORECASE)
_NUMBER_LIKE: Final = re.compile(r"[-+]?[0-9][0-9._]*")

MAX_ID_BYTES: Final = 128
_SHOWN: Final = 64


def is_model_name(text: str) -> bool:
    """Tell whether the text may name a model: it is a plain file name without any special meaning."""
    return _MODEL.fullmatch(text) is not None and ".." not in text


def is_version_number(text: str) -> bool:
    """Tell whether the text is a version number: digits without a leading zero."""
    return _VERSION.fullmatch(text) is not None


def is_alias(text: str) -> bool:
    """Tell whether the text may be an alias, by MLflow's rules: never `latest`, never `v` and digits."""
    return _ALIAS.fullmatch(text) is not None and _RESERVED_ALIAS.fullmatch(text) is None


def check_model_name(text: str) -> str:
    """Return the text, or raise `InvalidInput` if it cannot name a model."""
    if not is_model_name(text):
        raise InvalidInput(
            f"the model name {shown(text)} is not valid; use 1 to 128 letters, digits, '.', '_' or '-', starting with a letter or digit"
        )
    return text


def check_reference(text: str) -> str:
    """Return a version reference (a number, an alias, or "" for the model's choice).

    Raises `InvalidInput` for what looks like a malformed number or is reserved, `NotFound` for what can never be an alias.
    """
    if not text or is_version_number(text) or is_alias(text):
        return text
    if _NUMBER_LIKE.fullmatch(text) or _RESERVED_ALIAS.fullmatch(text):
        raise InvalidInput(f"the version {shown(text)} is not valid; use a number such as 3, an alias of the model, or leave it out")
    raise NotFound(f"the version {shown(text)} is neither a number nor an alias of the model")


def check_request_id(text: str, what: str) -> str:
    """Return an identifier given by a caller, or raise `InvalidInput` if it is too long or holds control characters."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES:
        raise InvalidInput(f"{what} has more than {MAX_ID_BYTES} bytes; shorten it")
    if not text.isprintable():
        raise InvalidInput(f"{what} holds control characters: {shown(text)}; use printable text")
    return text


def shown(text: str) -> str:
    """Return the text as it may stand in a message: quoted, escaped and cut to 64 characters."""
    cut = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
    return ascii(cut)
