"""One ledger: received = answered + client errors + shed + expired + cancelled + failed, always."""

from collections import Counter
from collections.abc import Callable, Container
from typing import Final

from penstock.domain.clock import Clock, monotonic
from penstock.domain.errors import PenstockError
from penstock.domain.outcome import Outcome
from penstock.domain.request import InferenceRequest, Reply
from penstock.domain.ticket import Ticket
from penstock.lifecycle.version import ServedVersion

OTHER: Final = "other"
"""Stands for every model that is not known, so that callers cannot make series."""


class Ledger:
    """Opens a ticket for each prediction and books its end, whatever the end. Lives on the event loop."""

    def __init__(
        self, known: Container[str], observe: Callable[[Ticket, str], None] = lambda _, __: None, clock: Clock = monotonic
    ) -> None:
        self.received: Final[Counter[tuple[str, str]]] = Counter()
        """Predictions by (protocol, model)."""
        self.outcomes: Final[Counter[tuple[str, str, Outcome]]] = Counter()
        """Ends by (protocol, model, outcome)."""
        self.unversioned: Final[Counter[tuple[str, str, str]]] = Counter()
        """Ends that no version had a part in, by (protocol, model, status)."""
        self._open: set[Ticket] = set()
        self._known = known
        self._observe = observe
        self._clock = clock

    def open(self, request: InferenceRequest, reply: Reply) -> Ticket:
        """Return the ticket of a prediction that has arrived; from here on it has exactly one end."""
        if not request.arrived_ns:
            request.arrived_ns = self._clock()
        self.received[request.protocol, self._label(request.model)] += 1
        ticket = Ticket(request, reply, self._book, self._clock)
        self._open.add(ticket)
        return ticket

    @property
    def in_flight(self) -> int:
        """Predictions that have not ended."""
        return len(self._open)

    def fail_all(self, error: PenstockError) -> None:
        """End whatever is still under way: the last resort of a shutdown."""
        for ticket in list(self._open):
            ticket.fail(error)

    def _book(self, ticket: Ticket) -> None:
        assert ticket.outcome is not None, "booked at its end"  # noqa: S101
        request, label = ticket.request, self._label(ticket.request.model)
        self._open.discard(ticket)
        self.outcomes[request.protocol, label, ticket.outcome] += 1
        status = status_of(ticket)
        if isinstance(ticket.lease, ServedVersion):
            ticket.lease.statistics.ended(ticket, status)
        else:
            self.unversioned[request.protocol, label, status] += 1
        self._observe(ticket, status)

    def _label(self, model: str) -> str:
        return model if model in self._known else OTHER


def status_of(ticket: Ticket) -> str:
    """Return the status that metrics and logs show: OK, CANCELLED, or the error's code."""
    if ticket.error is not None:
        return ticket.error.code.value
    return "OK" if ticket.outcome is Outcome.ANSWERED else "CANCELLED"
