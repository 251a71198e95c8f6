"""Answers as HTTP/2 carries them: the fields before the messages and those behind them (gRPC over HTTP2, "Responses")."""

import base64
import string
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from penstock.domain.errors import PenstockError
from penstock.grpc.call import Metadata
from penstock.grpc.errors import STATUS_OF, Status, details_of, retry_metadata
from penstock.grpc.messages import WINDOW_BITS
from penstock.http2.fields import STATUS_OK, field
from penstock.wire.call import ARM, MODEL_VERSION, REQUEST_ID, SERVER_TIMING

ENCODINGS: Final = ("identity", *WINDOW_BITS)
"""How messages may be packed that are sent to us; ours are not."""
OPENING: Final = STATUS_OK + field("content-type", b"application/grpc")
"""The fields before the messages."""
_OK: Final = field("grpc-status", b"0")
_ACCEPTED: Final = field("grpc-accept-encoding", ",".join(ENCODINGS).encode())
_REPEATED: Final = frozenset({MODEL_VERSION, ARM})
"""Metadata that take few values; their fields are remembered."""
_OURS: Final = frozenset({REQUEST_ID, SERVER_TIMING})
"""Metadata whose values are made, or were checked, to be what a field of text may hold."""
_PLAIN: Final = "".join(set(string.printable) - set(string.whitespace) - {"%"}) + " "
"""What stands for itself in grpc-message."""


def trailers(trailing: Metadata) -> bytes:
    """Return the fields behind an answer that went well."""
    return _OK + b"".join([_trailer(name, value) for name, value in trailing])


def _trailer(name: str, value: str) -> bytes:
    if name in _REPEATED:
        return _repeated(name, value)
    return field(name, value.encode()) if name in _OURS else _metadata(name, value)


def failure(error: PenstockError, trailing: Metadata = ()) -> bytes:
    """Return the fields that say why there is no answer, to stand behind messages or behind `OPENING`."""
    return status_fields(STATUS_OF[error.code], details_of(error), (*trailing, *retry_metadata(error)))


def status_fields(status: Status, details: str, trailing: Metadata = ()) -> bytes:
    """Return a status that is not OK, with its details percent-encoded, and metadata."""
    fields = [field("grpc-status", b"%d" % status), field("grpc-message", quote(details, safe=_PLAIN).encode())]
    return b"".join([*fields, *(_metadata(name, value) for name, value in trailing)])


def unknown_encoding(encoding: str) -> bytes:
    """Return the whole answer to a call whose messages are packed in a way that is not known; it says which ways are."""
    details = f"messages packed as {encoding[:32]!r} cannot be read; use one of {', '.join(ENCODINGS)}"
    return OPENING + status_fields(Status.UNIMPLEMENTED, details) + _ACCEPTED


def http_status(status: int, extra: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """Return the whole answer to a request that is no call of gRPC."""
    return b"".join([field(":status", b"%d" % status), *(field(name, value) for name, value in extra)])


@lru_cache(256)
def _repeated(name: str, value: str) -> bytes:
    return _metadata(name, value)


def _metadata(name: str, value: str) -> bytes:
    """Return one field of metadata; what may not stand in a field of text becomes a question mark."""
    if name.endswith("-bin"):
        return field(name, base64.b64encode(value.encode()))
    if not (value.isascii() and value.isprintable()):
        value = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in value)
    return field(name, value.encode())
