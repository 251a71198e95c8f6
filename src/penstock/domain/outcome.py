"""How a prediction may end: the columns of the ledger."""

from enum import StrEnum
from typing import Final

from penstock.domain.errors import ErrorCode


class Outcome(StrEnum):
    """received = the sum of these, always."""

    ANSWERED = "answered"
    CLIENT_ERROR = "client_error"
    SHED = "shed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


ANSWERED: Final = Outcome.ANSWERED
"""A plain name for the usual end: Python 3.11 takes its time to look up members of enumerations."""

OUTCOME_OF: Final[dict[ErrorCode, Outcome]] = {
    ErrorCode.INVALID_ARGUMENT: Outcome.CLIENT_ERROR,
    ErrorCode.UNAUTHENTICATED: Outcome.CLIENT_ERROR,
    ErrorCode.PERMISSION_DENIED: Outcome.CLIENT_ERROR,
    ErrorCode.NOT_FOUND: Outcome.CLIENT_ERROR,
    ErrorCode.METHOD_NOT_ALLOWED: Outcome.CLIENT_ERROR,
    ErrorCode.CONFLICT: Outcome.CLIENT_ERROR,
    ErrorCode.PRECONDITION_FAILED: Outcome.CLIENT_ERROR,
    ErrorCode.FAILED_PRECONDITION: Outcome.CLIENT_ERROR,
    ErrorCode.TOO_LARGE: Outcome.CLIENT_ERROR,
    ErrorCode.UNSUPPORTED_ENCODING: Outcome.CLIENT_ERROR,
    ErrorCode.UNIMPLEMENTED: Outcome.CLIENT_ERROR,
    ErrorCode.OVERLOADED: Outcome.SHED,
    ErrorCode.QUOTA_EXCEEDED: Outcome.SHED,
    ErrorCode.UNAVAILABLE: Outcome.SHED,
    ErrorCode.DEADLINE_EXCEEDED: Outcome.EXPIRED,
    ErrorCode.CANCELLED: Outcome.CANCELLED,
    ErrorCode.MODEL_FAILED: Outcome.FAILED,
    ErrorCode.INTERNAL: Outcome.FAILED,
}
"""Where the ledger books an error."""
