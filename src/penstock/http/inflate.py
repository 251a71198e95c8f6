"""Compressed bodies, inflated within their limit."""

import zlib
from typing import Final

from penstock.domain.errors import InvalidInput, TooLarge, UnsupportedEncoding
from penstock.domain.names import shown
from penstock.wire.raw import Buffer

PLAIN: Final = frozenset({"", "identity"})
"""The content encodings that leave a body as it is."""
_CODINGS: Final = PLAIN | {"gzip", "deflate"}
_DETECT: Final = 47  # zlib's window bits for "gzip or zlib, whichever it is"
_STEPS: Final = 16
"""A refusal takes little more than the limit: zlib joins its pieces, so that one step takes twice its size. What is left of the body is
copied in each step, so that there are few."""
_LEAST_STEP: Final = 8 * 1024


def check_coding(coding: str) -> None:
    """Raise `UnsupportedEncoding` for a content encoding that is not understood."""
    if coding not in _CODINGS:
        raise UnsupportedEncoding(f"the content encoding {shown(coding)} is not supported; use gzip, deflate or none")


def inflated(body: Buffer, limit: int) -> bytearray:
    """Return the body without its gzip or deflate; raises `TooLarge` as soon as it crosses the limit, `InvalidInput` for other data."""
    inflater = zlib.decompressobj(_DETECT)
    step, whole = max(_LEAST_STEP, limit // _STEPS), bytearray()
    try:
        while part := inflater.decompress(body, step):
            if len(whole) + len(part) > limit:
                raise too_large(limit)
            whole += part
            body = inflater.unconsumed_tail
    except zlib.error as error:
        raise InvalidInput("the body is not valid gzip or deflate (zlib) data, as its content encoding says") from error
    if not inflater.eof or inflater.unused_data:
        raise InvalidInput("the compressed body is truncated or has bytes behind its end")
    return whole


def too_large(limit: int) -> TooLarge:
    """Return the error that tells of the limit."""
    return TooLarge(f"the body exceeds the maximum allowed size of {limit} bytes; send less at once or raise http.max_body_bytes")
