"""A request's body, read and inflated within its limit."""

import zlib
from typing import Final

from starlette.requests import ClientDisconnect, Request

from penstock.domain.errors import Cancelled, InvalidInput, TooLarge, UnsupportedEncoding
from penstock.domain.names import shown

_PLAIN: Final = frozenset({"", "identity"})
_ZLIB: Final = frozenset({"gzip", "deflate"})
_DETECT: Final = 47  # zlib's window bits for "gzip or zlib, whichever it is"


async def read_body(request: Request, limit: int) -> bytes:
    """Return the whole body, uncompressed.

    Raises `TooLarge` as soon as the limit is known to be crossed, `UnsupportedEncoding`, `InvalidInput` for a body that does not
    inflate, `Cancelled` if the client leaves before its end.
    """
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in _PLAIN | _ZLIB:
        raise UnsupportedEncoding(f"the content encoding {shown(coding)} is not supported; use gzip, deflate or none")
    body = await _received(request, limit)
    return body if coding in _PLAIN else _inflated(body, limit)


async def _received(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise Cancelled("the client left before the end of its request") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _inflated(body: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(_DETECT)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidInput("the body is not valid gzip or deflate (zlib) data, as its content encoding says") from error
    if len(plain) > limit:
        raise _too_large(limit)
    if not inflater.eof or inflater.unused_data:
        raise InvalidInput("the compressed body is truncated or has bytes behind its end")
    return plain


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body exceeds the maximum allowed size of {limit} bytes; send less at once or raise http.max_body_bytes")
