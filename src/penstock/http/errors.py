"""Errors as HTTP answers."""

import math
from collections.abc import Mapping
from typing import Final, Protocol

import orjson
from starlette.responses import Response

from penstock.domain.errors import ErrorCode, PenstockError

STATUS: Final[dict[ErrorCode, int]] = {
    ErrorCode.INVALID_ARGUMENT: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.CONFLICT: 409,
    ErrorCode.PRECONDITION_FAILED: 412,
    ErrorCode.FAILED_PRECONDITION: 400,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_ENCODING: 415,
    ErrorCode.OVERLOADED: 429,
    ErrorCode.QUOTA_EXCEEDED: 429,
    ErrorCode.CANCELLED: 499,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.UNIMPLEMENTED: 501,
    ErrorCode.MODEL_FAILED: 500,
    ErrorCode.INTERNAL: 500,
}
"""The status of each error. 499 is only ever logged: its caller has left."""

_HINTS: Final[Mapping[ErrorCode, dict[str, str]]] = {
    ErrorCode.UNSUPPORTED_ENCODING: {"accept-encoding": "gzip, deflate"},
    ErrorCode.TOO_LARGE: {"connection": "close"},  # the rest of the body is never read
    ErrorCode.UNAUTHENTICATED: {"www-authenticate": "Bearer"},
}

JSON: Final = "application/json"
"""Exactly this: kserve's client compares the whole value, so no charset follows."""


def error_response(error: PenstockError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that tells of an error."""
    return Response(error_body(error), STATUS[error.code], {**error_hints(error), **(headers or {})}, JSON)


class Told(Protocol):
    """What an error says."""

    message: str
    code: ErrorCode


def error_body(error: Told) -> bytes:
    """Return the body that tells of an error: `{"error": text, "code": code}`."""
    return orjson.dumps({"error": error.message, "code": error.code.value})


def error_hints(error: PenstockError) -> Mapping[str, str]:
    """Return the headers that tell a client what to do about an error."""
    if error.retry_after_s is None:
        return _HINTS.get(error.code, {})
    return _HINTS.get(error.code, {}) | {"retry-after": str(max(1, math.ceil(error.retry_after_s)))}


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Return the headers as they stand in an answer; characters that headers cannot hold become question marks."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1", "replace")
