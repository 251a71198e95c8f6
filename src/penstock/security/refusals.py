"""How often callers were turned away, by where and why. Never by who: what a stranger sends must not make series."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from penstock.domain.errors import Barred, PenstockError
from penstock.domain.ticket import Ticket
from penstock.security.token import AdminToken

Turned = Callable[[PenstockError], None]
"""Hears of an error that a door answers with; counts it if somebody was turned away."""
Observe = Callable[[Ticket, str], None]
"""Hears of a prediction's end, with its status."""


class Refusals:
    """Counts. Lives on the event loop."""

    def __init__(self) -> None:
        self.counts: Final[Counter[tuple[str, str, str, str]]] = Counter()
        """Callers turned away by listener, protocol, error code and reason."""

    def at(self, listener: str) -> Turned:
        """Return what counts at a listener."""
        protocol = "grpc" if listener == "grpc" else "http"

        def turned(error: PenstockError) -> None:
            if isinstance(error, Barred):
                self.counts[listener, protocol, error.code.value, error.reason.value] += 1

        return turned

    def before(self, observe: Observe) -> Observe:
        """Return what hears of ends of predictions and tells `observe`; the listeners of predictions are named like their protocols."""

        def hear(ticket: Ticket, status: str) -> None:
            if isinstance(error := ticket.error, Barred):
                protocol = ticket.request.protocol
                self.counts[protocol, protocol, error.code.value, error.reason.value] += 1
            observe(ticket, status)

        return hear


class CountedToken(AdminToken):
    """The admin token as one listener asks for it."""

    def __init__(self, token: AdminToken, turned: Turned) -> None:
        super().__init__("")
        self._inner = token
        self._turned = turned

    def require(self, header: str | None) -> None:
        """Raise what the token raises, and count it."""
        try:
            self._inner.require(header)
        except Barred as error:
            self._turned(error)
            raise
