"""The endpoint that shows the audit log: the admin listener."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from penstock.audit.log import AuditLog
from penstock.audit.page import Asked
from penstock.domain.errors import InvalidInput, Unavailable
from penstock.domain.names import shown
from penstock.http.answers import json_response
from penstock.http.endpoint import endpoint
from penstock.security.token import AdminToken

_USUAL: Final = 100
_MOST: Final = 1000
_DIGITS: Final = 15


class AuditEndpoints:
    """Who changed what. Lives on the event loop."""

    def __init__(self, log: AuditLog, token: AdminToken) -> None:
        self._log = log
        self._token = token

    def routes(self) -> Iterable[BaseRoute]:
        """Yield what they answer."""
        yield endpoint("/admin/events", self.events)

    async def events(self, request: Request) -> Response:
        """Answer with the newest entries first; `next` is what `before` of the next page is, null on the last one."""
        self._token.require(request.headers.get("authorization"))
        asked = _asked(request.query_params)
        try:
            page = await asyncio.to_thread(self._log.page, asked)
        except OSError as error:
            raise Unavailable(f"the audit log cannot be read: {error.strerror}; look at the state directory") from error
        view = self._log.view()
        told = {"entries": view.written, "waiting": view.waiting, "lost": view.lost, "problem": view.problem}
        return json_response({"events": msgspec.to_builtins(page.entries), "next": page.next, "since_start": told})


def _asked(query: Mapping[str, str]) -> Asked:
    for key in sorted(query.keys() - {"limit", "before", "model", "who"}):
        raise InvalidInput(f"unknown parameter {shown(key)}; use limit, before, model and who")
    limit = _number("limit", query.get("limit", str(_USUAL)), _MOST)
    before = _number("before", query["before"], 10**_DIGITS) if "before" in query else None
    return Asked(limit, before, query.get("model"), query.get("who"))


def _number(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and 1 <= int(text) <= most):
        raise InvalidInput(f"{name} is {shown(text)}; use a number from 1 to {most}, or leave it out")
    return int(text)
