"""What the fast path leaves to the application: uvicorn's protocol, handed the bytes of one request at a time."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from penstock.http.head import malformed

Loop = asyncio.AbstractEventLoop


class Handover(HttpToolsProtocol):
    """The application's side of a connection. Lives on the event loop."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Loop | None = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._application_busy = False
        """Whether the application owes an answer."""

    def pause_writing(self) -> None:
        """Read no more while the client does not read its answers."""
        super().pause_writing()
        self.flow.pause_reading()

    def on_response_complete(self) -> None:
        """Hear that the application has answered; replaces uvicorn's timer for idle connections."""
        self.server_state.total_requests += 1
        self._application_busy = False
        if not self.transport.is_closing():
            self._handed_back()

    def _handed_back(self) -> None:
        """Go on once the application has answered: the next request may be looked at."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what only uvicorn's parser has found fault with, in place of uvicorn's own answer; raises `Refusal`."""
        raise malformed(msg)

    def _hand_over(self, head: bytes) -> None:
        """Have the application answer a request; raises `Refusal`, and nothing is asked, for a head that cannot be read."""
        HttpToolsProtocol.data_received(self, head)
        self._application_busy = True

    def _hand_on(self, body: bytes) -> None:
        """Pass on more of the request's body; raises `Refusal` where it is framed badly."""
        HttpToolsProtocol.data_received(self, body)

    def _silence(self) -> None:
        """Let the application say nothing more: the connection has had its last answer."""
        if self._application_busy:
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()
