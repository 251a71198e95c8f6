"""What the fields of a request say, held against RFC 9113, sections 8.2 and 8.3."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from penstock.http2.errors import Malformed

Fields = Sequence[tuple[bytes, bytes]]
_NAME: Final = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(rb"(?:[^\0\r\n\t ](?:[^\0\r\n]*[^\0\r\n\t ])?)?")
_PSEUDO: Final = frozenset({b":method", b":scheme", b":path", b":authority"})
_OF_CONNECTIONS: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""Fields that tell of a connection and have no place in HTTP/2."""
_LENGTH: Final = b"content-length"


class Request(NamedTuple):
    """The fields of a request, in which all is in order."""

    method: str
    path: str
    fields: list[tuple[bytes, bytes]]
    """All but the pseudo-header fields, in their order."""
    body_bytes: int | None
    """The length of the body, where the request tells it."""


def request_of(fields: Fields) -> Request:
    """Return what the fields say; raises `Malformed`."""
    pseudo: dict[bytes, bytes] = {}
    others: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if name.startswith(b":"):
            _check_pseudo(name, pseudo, others)
            pseudo[name] = _checked(value)
        else:
            _check(name, value)
            others.append((name, value))
    _check_target(pseudo, others)
    method, path = (pseudo.get(name, b"").decode("latin-1") for name in (b":method", b":path"))
    return Request(method, path, others, _body_bytes(others))


def check_trailers(fields: Fields) -> None:
    """Raise `Malformed` unless the fields may follow a body."""
    for name, value in fields:
        if name.startswith(b":"):
            raise Malformed(f"the trailers hold {name!r}; pseudo-header fields stand at the beginning")
        _check(name, value)


def _check_pseudo(name: bytes, pseudo: dict[bytes, bytes], others: Fields) -> None:
    if name not in _PSEUDO:
        raise Malformed(f"{name[:32]!r} is no pseudo-header field of a request")
    if name in pseudo:
        raise Malformed(f"{name!r} stands there twice")
    if others:
        raise Malformed(f"{name!r} stands behind other fields")


def _check(name: bytes, value: bytes) -> None:
    if _NAME.fullmatch(name) is None:
        raise Malformed(f"{name[:32]!r} is no name of a field; names are lower-case")
    if name in _OF_CONNECTIONS:
        raise Malformed(f"{name!r} is about connections of HTTP/1.1")
    if name == b"te" and value != b"trailers":
        raise Malformed(f"te is {value[:32]!r}; only 'trailers' is allowed")
    _checked(value)


def _checked(value: bytes) -> bytes:
    if _VALUE.fullmatch(value) is None:
        raise Malformed("a value of a field holds a line break or NUL, or has blanks around it")
    return value


def _check_target(pseudo: dict[bytes, bytes], others: Fields) -> None:
    method = pseudo.get(b":method")
    if not method:
        raise Malformed("the request has no :method")
    scheme, path, authority = (pseudo.get(name) for name in (b":scheme", b":path", b":authority"))
    if method == b"CONNECT":
        if scheme is not None or path is not None or not authority:
            raise Malformed("CONNECT takes an :authority, and neither :scheme nor :path")
    elif not scheme or not path:
        raise Malformed("the request lacks :scheme or :path")
    elif not path.startswith(b"/") and not (path == b"*" and method == b"OPTIONS"):
        raise Malformed("the :path does not begin with '/'")
    if authority is not None and any(name == b"host" and value.lower() != authority.lower() for name, value in others):
        raise Malformed("host and :authority name two places")


def _body_bytes(fields: Fields) -> int | None:
    told = {value for name, value in fields if name == _LENGTH}
    if not told:
        return None
    length = told.pop()
    if told or not length.isdigit():
        raise Malformed("content-length is not one number")
    return int(length[:20])
