"""A request's body, read from the application's side."""

from starlette.requests import ClientDisconnect, Request

from penstock.domain.errors import Cancelled
from penstock.http.inflate import PLAIN, check_coding, inflated, too_large


async def read_body(request: Request, limit: int) -> bytearray:
    """Return the whole body of a request to the application, inflated.

    Raises `TooLarge` as soon as the limit is known to be crossed, `UnsupportedEncoding`, `InvalidInput` for a body that does not
    inflate, `Cancelled` if the client leaves before its end.
    """
    coding = request.headers.get("content-encoding", "").strip().lower()
    check_coding(coding)
    body = await received(request, limit)
    return body if coding in PLAIN else inflated(body, limit)


async def received(request: Request, limit: int) -> bytearray:
    """Return the body as it was sent; raises `TooLarge` and `Cancelled`."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large(limit)
    whole = bytearray()
    try:
        async for chunk in request.stream():
            if len(whole) + len(chunk) > limit:
                raise too_large(limit)
            whole += chunk
    except ClientDisconnect as error:
        raise Cancelled("the client left before the end of its request") from error
    return whole
