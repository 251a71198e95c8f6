"""The outermost ASGI middleware: a fault in what stands before the router is one 500, and the connection goes on."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.domain.errors import Internal
from penstock.domain.names import shown
from penstock.http.errors import error_response

_log = logging.getLogger(__name__)


class Shield:
    """Answers in place of an application that raises. Starlette's own would raise once more, upon which uvicorn ends the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; raises only what comes after the answer has begun, for then no other can be given."""
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            if begun:
                raise
            _log.error("%s %s failed", scope.get("method"), shown(scope.get("path", "")), exc_info=error)
            await error_response(Internal("the server failed to answer; its log tells more"))(scope, receive, send)
