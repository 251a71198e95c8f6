"""Errors as gRPC statuses: the only place that knows which is which."""

from enum import IntEnum
from typing import Final

from penstock.domain.errors import ErrorCode, PenstockError

_PUSHED_BACK: Final = (ErrorCode.OVERLOADED, ErrorCode.QUOTA_EXCEEDED)
_LONGEST_DETAILS: Final = 2048
"""Bytes of UTF-8: a client may drop trailers above 8 KiB, and each byte may become three on the wire."""


class Status(IntEnum):
    """The statuses that Penstock answers, with gRPC's numbers (grpc/grpc, doc/statuscodes.md)."""

    OK = 0
    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


STATUS_OF: Final[dict[ErrorCode, Status]] = {
    ErrorCode.INVALID_ARGUMENT: Status.INVALID_ARGUMENT,
    ErrorCode.UNAUTHENTICATED: Status.UNAUTHENTICATED,
    ErrorCode.PERMISSION_DENIED: Status.PERMISSION_DENIED,
    ErrorCode.NOT_FOUND: Status.NOT_FOUND,
    ErrorCode.METHOD_NOT_ALLOWED: Status.UNIMPLEMENTED,
    ErrorCode.CONFLICT: Status.ABORTED,
    ErrorCode.PRECONDITION_FAILED: Status.FAILED_PRECONDITION,
    ErrorCode.FAILED_PRECONDITION: Status.FAILED_PRECONDITION,
    ErrorCode.TOO_LARGE: Status.RESOURCE_EXHAUSTED,
    ErrorCode.UNSUPPORTED_ENCODING: Status.UNIMPLEMENTED,
    ErrorCode.OVERLOADED: Status.RESOURCE_EXHAUSTED,
    ErrorCode.QUOTA_EXCEEDED: Status.RESOURCE_EXHAUSTED,
    ErrorCode.CANCELLED: Status.CANCELLED,
    ErrorCode.UNAVAILABLE: Status.UNAVAILABLE,
    ErrorCode.DEADLINE_EXCEEDED: Status.DEADLINE_EXCEEDED,
    ErrorCode.UNIMPLEMENTED: Status.UNIMPLEMENTED,
    ErrorCode.MODEL_FAILED: Status.INTERNAL,
    ErrorCode.INTERNAL: Status.INTERNAL,
}
"""The status of every error."""


def details_of(error: PenstockError) -> str:
    """Return the status details: the error's message, cut to what every client takes."""
    data = error.message.encode(errors="replace")
    return data.decode() if len(data) <= _LONGEST_DETAILS else f"{data[: _LONGEST_DETAILS - 3].decode(errors='ignore')}..."


def retry_metadata(error: PenstockError) -> tuple[tuple[str, str], ...]:
    """Return the trailing metadata that tells a client's retry policy when to come back (gRFC A6); overload and quotas only."""
    if error.code not in _PUSHED_BACK or error.retry_after_s is None:
        return ()
    return (("grpc-retry-pushback-ms", str(round(error.retry_after_s * 1000))),)
