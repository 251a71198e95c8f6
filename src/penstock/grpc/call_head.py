"""What the fields of a request say of a call: its method, its deadline, its metadata (gRPC over HTTP2, "Requests").

A head is read once for all requests of a connection that have the same fields, so it holds nothing of a single call.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from penstock.domain.clock import NS_PER_MS, NS_PER_S, NS_PER_US
from penstock.domain.names import shown
from penstock.grpc import answers
from penstock.grpc.call import CallInfo, Handler, StreamHandler
from penstock.grpc.errors import Status
from penstock.grpc.methods import Methods
from penstock.http2.requests import Request

CONTENT_TYPE: Final = b"application/grpc"
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNIT_NS: Final = {
    b"H": 3600 * NS_PER_S,
    b"M": 60 * NS_PER_S,
    b"S": NS_PER_S,
    b"m": NS_PER_MS,
    b"u": NS_PER_US,
    b"n": 1,
}
_OF_TRANSPORT: Final = frozenset({"te", "content-type", "content-length", "host", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"})
"""Fields that are no metadata of the caller."""


class CallHead(NamedTuple):
    """What is the same for all calls with these fields."""

    refusal: bytes = b""
    """The whole answer, if there is no more to be said."""
    unary: Handler | None = None
    stream: StreamHandler | None = None
    """One of the two answers, unless the call is refused."""
    info: CallInfo = CallInfo()
    """Without the deadline, which depends on the moment."""
    timeout_ns: int | None = None
    encoding: str = "identity"


TOO_LONG: Final = CallHead(
    answers.OPENING + answers.status_fields(Status.RESOURCE_EXHAUSTED, "the call's metadata are longer than grpc.max_metadata_bytes allows")
)
"""Stands for fields that are longer than allowed."""


def head_of(methods: Methods, request: Request, peer: str) -> CallHead:
    """Return what the fields of a request from a peer say."""
    path, fields = request.path, dict(request.fields)
    stream = methods.stream(path)
    unary = None if stream else methods.unary(path)
    refusal = _no_call(request, fields) or (b"" if stream or unary else _refused(Status.UNIMPLEMENTED, f"there is no method {shown(path)}"))
    encoding = fields.get(b"grpc-encoding", b"identity").decode("latin-1")
    if not refusal and encoding not in answers.ENCODINGS:
        refusal = answers.unknown_encoding(encoding)
    timeout = fields.get(b"grpc-timeout")
    if not refusal and timeout is not None and _TIMEOUT.fullmatch(timeout) is None:
        refusal = _refused(Status.INVALID_ARGUMENT, f"grpc-timeout is {shown(timeout.decode('latin-1'))}; use up to 8 digits and a unit")
    if refusal:
        return CallHead(refusal)
    return CallHead(b"", unary, stream, CallInfo(_metadata(request), None, peer), _timeout_ns(timeout), encoding)


def _no_call(request: Request, fields: Mapping[bytes, bytes]) -> bytes:
    """Return the answer to what is no call of gRPC."""
    if request.method != "POST":
        return answers.http_status(405, [("allow", b"POST")])
    kind = fields.get(b"content-type", b"")
    if kind != CONTENT_TYPE and not kind.startswith((CONTENT_TYPE + b"+", CONTENT_TYPE + b";")):
        return answers.http_status(415)
    return b""


def _refused(status: Status, details: str) -> bytes:
    return answers.OPENING + answers.status_fields(status, details)


def _metadata(request: Request) -> Mapping[str, str]:
    """Return the caller's metadata; binary values are left out, as `CallInfo` says."""
    texts = {name.decode(): value.decode("latin-1") for name, value in request.fields if not name.endswith(b"-bin")}
    return MappingProxyType({name: value for name, value in texts.items() if name not in _OF_TRANSPORT})


def _timeout_ns(timeout: bytes | None) -> int | None:
    if timeout is None:
        return None
    return int(timeout[:-1]) * _UNIT_NS[timeout[-1:]]
