"""The head of a request, read strictly: what framing, routing and a prediction need to know of it."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httptools

from penstock.domain.errors import ErrorCode, TooLarge
from penstock.domain.names import shown
from penstock.http.call import PredictionCall, call_to
from penstock.http.hosts import is_known
from penstock.http.options import HttpOptions

_ASKS: Final = re.compile(rb"[A-Za-z]{1,32} [!-~]+ HTTP/1\.[01]\r\n")
_CLOSE: Final = re.compile(r"(?:^|,)[ \t]*close[ \t]*(?:,|$)", re.IGNORECASE)
"""A list of options that holds this one. The parser itself forgets it with the end of a message, which may be that of its head."""
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_MOST_DIGITS: Final = 18
_FRAMING: Final = 4
"""Bytes of a header beside its name and value: colon, blank, CRLF."""


class Refusal(Exception):
    """A request that is not even routed; the connection ends with the answer."""

    def __init__(self, status: HTTPStatus, message: str, code: ErrorCode = ErrorCode.INVALID_ARGUMENT) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


@dataclass(frozen=True, slots=True)
class Head:
    """One request's line and headers. The same bytes always mean the same head, so that it may be kept."""

    text: bytes
    content_length: int
    chunked: bool
    keep_alive: bool
    expects_continue: bool
    call: PredictionCall | None
    """What is asked of the predictor; None for every other route."""
    is_plain: bool
    """Whether a body of the given length follows, and nothing else has to be thought of."""


def read_head(text: bytes, options: HttpOptions) -> Head:
    """Return the head that the bytes hold, from its first letter to its blank line; raises `Refusal` (RFC 9112, sections 2 to 7)."""
    check_sizes(text, options)
    fields = _Fields()
    parser = httptools.HttpRequestParser(fields)
    _feed(parser, text)
    method, version = parser.get_method().decode(), parser.get_http_version()
    if version not in _VERSIONS:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the HTTP version {shown(version)} is not spoken here; use HTTP/1.1")
    if parser.should_upgrade():
        raise _upgrade(method)
    headers = dict(reversed(fields.headers))  # of a header that is given twice the first one counts
    _check_headers(fields.headers, version, options)
    chunked = "transfer-encoding" in headers
    expects_continue = version == "1.1" and _expects_continue(headers.get("expect", ""))
    return Head(
        text,
        _content_length(headers.get("content-length", "0")),
        chunked,
        version == "1.1" and not any(name == "connection" and _CLOSE.search(value) for name, value in fields.headers),
        expects_continue,
        call_to(fields.url, headers) if method == "POST" and _is_served(headers.get("host", ""), options) else None,
        not chunked and not expects_continue,
    )


def check_sizes(text: bytes, options: HttpOptions) -> None:
    """Raise `Refusal` for a head, maybe not complete yet, that is longer than allowed."""
    line = text.find(b"\r\n")
    if max(line, 0) > options.max_request_line_bytes or (line < 0 and len(text) > options.max_request_line_bytes):
        most = options.max_request_line_bytes
        raise Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, f"the request line has more than {most} bytes; shorten the URL")
    if line >= 0 and len(text) - line > options.max_head_bytes + _FRAMING:
        raise _too_long(f"the headers have more than {options.max_head_bytes} bytes together")


def check_begun(text: bytes, options: HttpOptions) -> None:
    """Raise `Refusal` for bytes that cannot be the start of a head, or are too many, so that nobody has to wait for its end."""
    check_sizes(text, options)
    _feed(httptools.HttpRequestParser(_Fields()), text)


class _Fields:
    """What the parser calls back with."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[str, str]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))


def _feed(parser: httptools.HttpRequestParser, text: bytes) -> None:
    try:
        parser.feed_data(text)
    except httptools.HttpParserUpgrade:
        return
    except httptools.HttpParserInvalidMethodError as error:
        if _ASKS.match(text) is None:
            raise malformed("it does not start with a method, a path and HTTP/1.1") from error
        raise _not_allowed(text.split(b" ", 1)[0].decode()) from error
    except httptools.HttpParserError as error:
        raise malformed(str(error)) from error


def _check_headers(headers: list[tuple[str, str]], version: str, options: HttpOptions) -> None:
    if len(headers) > options.max_headers:
        raise _too_long(f"the request has {len(headers)} headers; at most {options.max_headers} are allowed")
    for name, value in headers:
        if len(name) + len(value) + _FRAMING > options.max_header_bytes:
            raise _too_long(f"the header {shown(name)} has more than {options.max_header_bytes} bytes")
    hosts = [value for name, value in headers if name == "host"]
    if len(hosts) > 1 or (version == "1.1" and not hosts):
        raise malformed(f"it has {len(hosts)} Host headers; send exactly one")
    codings = [value.strip().lower() for name, value in headers if name == "transfer-encoding"]
    if codings not in ([], ["chunked"]):
        raise malformed(f"the transfer encoding {shown(', '.join(codings))} is not understood; use chunked or a Content-Length")


def _is_served(host: str, options: HttpOptions) -> bool:
    """Tell whether the fast path may answer for the host; the application tells strangers."""
    return not options.allowed_hosts or is_known(host, options.allowed_hosts)


def _content_length(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise malformed(f"the Content-Length {shown(text)} is no length")
    return int(text)


def _expects_continue(expectation: str) -> bool:
    if expectation and expectation.strip().lower() != "100-continue":
        raise Refusal(HTTPStatus.EXPECTATION_FAILED, f"the expectation {shown(expectation)} cannot be met; use 100-continue or none")
    return bool(expectation)


def _upgrade(method: str) -> Refusal:
    if method == "CONNECT":
        return _not_allowed(method)
    return malformed("it asks to upgrade to another protocol, which is not offered; send it without Upgrade")


def _not_allowed(method: str) -> Refusal:
    text = f"Method Not Allowed: {shown(method)} is not served; use GET or POST"
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, text, ErrorCode.METHOD_NOT_ALLOWED)


def malformed(why: str) -> Refusal:
    """Return the refusal of bytes that no one can tell the meaning of."""
    return Refusal(HTTPStatus.BAD_REQUEST, f"the bytes are no valid HTTP request: {why}")


def overlong(error: TooLarge) -> Refusal:
    """Return the refusal of a request that is no prediction, and too large."""
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error.message, error.code)


def too_slow(part: str, waited_s: float) -> Refusal:
    """Return the refusal of a request of which a part has not come in time."""
    return Refusal(HTTPStatus.REQUEST_TIMEOUT, f"the {part} of the request did not arrive within {waited_s:.1f} s; send it again")


def _too_long(why: str) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"{why}; send less beside the body")
