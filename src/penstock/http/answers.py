"""Small JSON in and out, for every route that does not predict."""

from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from penstock.http.body import read_body
from penstock.http.errors import JSON
from penstock.http.json_text import parse

_LIMIT_BYTES: Final = 1024 * 1024


def json_response(value: object, status: int = 200) -> Response:
    """Return a JSON answer, never compressed and with nothing behind its media type."""
    return Response(orjson.dumps(value), status, media_type=JSON)


async def optional_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body, {} for an empty body; its content type is never looked at."""
    body = await read_body(request, _LIMIT_BYTES)
    return parse(body) if body.strip() else {}
