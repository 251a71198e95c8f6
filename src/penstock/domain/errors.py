"""Every way in which Penstock refuses or fails, in one tree.

No class knows an HTTP or gRPC status: `http/errors.py` and `grpc/errors.py` map each `ErrorCode`, and a test proves that both
tables are total. A message says what was wrong, the value seen and what to do; it never holds a path, a stack or other callers' data.
"""

from enum import StrEnum
from typing import Self


class ErrorCode(StrEnum):
    """The code in the body of an error answer."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CONFLICT = "CONFLICT"
    PRECONDITION_FAILED = "PRECONDITION_FAILED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    TOO_LARGE = "TOO_LARGE"
    UNSUPPORTED_ENCODING = "UNSUPPORTED_ENCODING"
    OVERLOADED = "OVERLOADED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    CANCELLED = "CANCELLED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    MODEL_FAILED = "MODEL_FAILED"
    INTERNAL = "INTERNAL"


class PenstockError(Exception):
    """The root of every error that a caller may see."""

    code = ErrorCode.INTERNAL
    retry_after_s: float | None = None
    """When a repeated call may succeed, if that can be told."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s

    def bare(self) -> Self:
        """Return the error without the frames that it has come through: they keep messages, tensors, and often whoever keeps the error."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


class InvalidInput(PenstockError):
    """The request contradicts the protocol or the model's schema."""

    code = ErrorCode.INVALID_ARGUMENT


class Bar(StrEnum):
    """Why a caller is turned away, in few words: a label of metrics."""

    NO_KEY = "no_key"
    """Nothing was shown that could be a key."""
    UNKNOWN_KEY = "unknown_key"
    """The key is misspelt, has expired or was revoked."""
    BAD_TOKEN = "bad_token"  # noqa: S105 - no secret
    """The JSON Web Token cannot be trusted, or is not meant for this server."""
    REVOKED = "revoked"
    """The key was revoked while the call was under way, or its stream open."""
    SCOPE = "scope"
    """The key is not for that action."""
    MODEL = "model"
    """The key is not for that model."""
    ADMIN_TOKEN = "admin_token"  # noqa: S105 - no secret
    """Management without the admin token, on a server that has no keys."""
    SIGNATURE = "signature"
    """A delivery that is not signed with the secret of webhooks, or was too long ago."""


class Barred(PenstockError):
    """A caller is turned away."""

    def __init__(self, message: str, reason: Bar) -> None:
        super().__init__(message)
        self.reason = reason


class Unauthenticated(Barred):
    """The call needs a token that it does not carry."""

    code = ErrorCode.UNAUTHENTICATED


class PermissionDenied(Barred):
    """The caller is known and may not do this."""

    code = ErrorCode.PERMISSION_DENIED


class NotFound(PenstockError):
    """No such model, version, alias or path."""

    code = ErrorCode.NOT_FOUND


class MethodNotAllowed(PenstockError):
    """The path exists and does not take this method."""

    code = ErrorCode.METHOD_NOT_ALLOWED


class Conflict(PenstockError):
    """A change that what is there does not allow; nothing has been changed."""

    code = ErrorCode.CONFLICT


class PreconditionFailed(PenstockError):
    """A change was asked for on the condition that nobody had changed the same thing before, and somebody had."""

    code = ErrorCode.PRECONDITION_FAILED


class LoadRefused(PenstockError):
    """A version cannot be served as it is: its graph, its needs or its settings stand in the way."""

    code = ErrorCode.FAILED_PRECONDITION


class BadArtifact(PenstockError):
    """A version's files are incomplete, unreadable or invalid."""

    code = ErrorCode.INVALID_ARGUMENT


class TooLarge(PenstockError):
    """A body or message is above the limit."""

    code = ErrorCode.TOO_LARGE


class UnsupportedEncoding(PenstockError):
    """The body is compressed in a way that is not understood."""

    code = ErrorCode.UNSUPPORTED_ENCODING


class Overloaded(PenstockError):
    """More work waits than the server can finish in time; a later try may succeed."""

    code = ErrorCode.OVERLOADED
    retry_after_s = 1.0


class QuotaExceeded(PenstockError):
    """The caller asks for more at once, or more each second, than its key allows; whatever the server has to do otherwise."""

    code = ErrorCode.QUOTA_EXCEEDED
    retry_after_s = 1.0


class Cancelled(PenstockError):
    """The caller went away."""

    code = ErrorCode.CANCELLED


class Unavailable(PenstockError):
    """Not able to serve now: loading, unloading or draining."""

    code = ErrorCode.UNAVAILABLE
    retry_after_s = 1.0


class DeadlineExceeded(PenstockError):
    """The request's time ran out before it was executed."""

    code = ErrorCode.DEADLINE_EXCEEDED


class Unimplemented(PenstockError):
    """Part of the protocol that Penstock does not offer."""

    code = ErrorCode.UNIMPLEMENTED


class ModelFailed(PenstockError):
    """The model itself failed on this input."""

    code = ErrorCode.MODEL_FAILED


class OutOfMemory(ModelFailed):
    """The run needed more memory than its device has; a smaller one may succeed."""


class Internal(PenstockError):
    """A fault of Penstock; the log tells more under the request's id."""

    code = ErrorCode.INTERNAL
