"""One ledger: received = answered + client errors + shed + expired + cancelled + failed, always."""

from collections import Counter
from collections.abc import Callable, Container
from functools import partial
from typing import Final

from penstock.domain.clock import Clock, monotonic
from penstock.domain.errors import PenstockError
from penstock.domain.outcome import ANSWERED, Outcome
from penstock.domain.request import InferenceRequest, Reply
from penstock.domain.ticket import Ticket
from penstock.lifecycle.version import ServedVersion
from penstock.telemetry.hook_errors import HookErrors

OTHER: Final = "other"
"""Stands for every model that is not known, so that callers cannot make series."""
Observe = Callable[[Ticket, str], None]
"""Hears of a prediction's end, with its status."""


class Account:
    """What came in for one model over one protocol, and how it ended."""

    __slots__ = ("answered", "book", "failures", "received", "record")

    def __init__(self, book: Callable[["Account", Ticket], None]) -> None:
        self.book: Final = partial(book, self)
        """Hears of the end of each prediction that was opened here."""
        self.received = 0
        self.answered = 0
        self.failures: Counter[Outcome] = Counter()
        """Ends other than answers."""
        self.record: Observe | None = None
        """Hears of every end; of most models nobody does."""


class Ledger:
    """Opens a ticket for each prediction and books its end, whatever the end. Lives on the event loop."""

    def __init__(
        self,
        known: Container[str],
        observe: Observe = lambda _, __: None,
        clock: Clock = monotonic,
        *,
        observe_answers: bool = True,
        hook_errors: HookErrors | None = None,
    ) -> None:
        """`observe` hears of every end with its status; without `observe_answers`, only of those that are no answers."""
        self.unversioned: Final[Counter[tuple[str, str, str]]] = Counter()
        """Ends that no version had a part in, by (protocol, model, status)."""
        self.failed: Final[Counter[tuple[str, str]]] = Counter()
        """Ends other than answers, by (model, status), whichever version had a part in them."""
        self._accounts: dict[tuple[str, str], Account] = {}
        self._open: set[Ticket] = set()
        self._known = known
        self._parties: dict[str, dict[str, Observe]] = {}
        self._observe = observe
        self._observe_answers = observe_answers
        self.hook_errors: Final = hook_errors or HookErrors()
        self._clock = clock

    def record(self, model: str, record: Observe | None, party: str = "payloads") -> None:
        """Have every end of a model's predictions told to a party, or not any more; predictions of other models pay nothing for it."""
        parties = self._parties.setdefault(model, {})
        parties.pop(party, None)
        if record is not None:
            parties[party] = record
        for (_, name), account in self._accounts.items():
            if name == model:
                account.record = _all_of(*parties.values())

    def open(self, request: InferenceRequest, reply: Reply) -> Ticket:
        """Return the ticket of a prediction that has arrived; from here on it has exactly one end."""
        if not request.arrived_ns:
            request.arrived_ns = self._clock()
        account = self._accounts.get((request.protocol, request.model)) or self._account(request)
        account.received += 1
        if (caller := request.caller) is not None:
            caller.tenant.in_flight += 1
        ticket = Ticket(request, reply, account.book, self._clock)
        self._open.add(ticket)
        return ticket

    @property
    def received(self) -> dict[tuple[str, str], int]:
        """Predictions by (protocol, model)."""
        return {key: account.received for key, account in self._accounts.items()}

    @property
    def outcomes(self) -> Counter[tuple[str, str, Outcome]]:
        """Ends by (protocol, model, outcome)."""
        ends: Counter[tuple[str, str, Outcome]] = Counter()
        for key, account in self._accounts.items():
            ends.update({(*key, outcome): count for outcome, count in account.failures.items()})
            if account.answered:
                ends[*key, Outcome.ANSWERED] = account.answered
        return ends

    @property
    def in_flight(self) -> int:
        """Predictions that have not ended."""
        return len(self._open)

    def fail_all(self, error: PenstockError) -> None:
        """End whatever is still under way: the last resort of a shutdown."""
        for ticket in list(self._open):
            ticket.fail(error)

    def _account(self, request: InferenceRequest) -> Account:
        key = request.protocol, self._label(request)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(self._book)
            account.record = _all_of(*self._parties.get(key[1], {}).values())
        return account

    def _label(self, request: InferenceRequest) -> str:
        return request.model if request.model in self._known else OTHER

    def _book(self, account: Account, ticket: Ticket) -> None:
        self._open.discard(ticket)
        if (caller := ticket.request.caller) is not None:
            caller.tenant.in_flight -= 1
        if ticket.outcome is not ANSWERED:
            self._book_failure(account, ticket)
            return
        account.answered += 1
        if self._observe_answers or account.record is not None:
            self._tell(account, ticket, "OK", observed=self._observe_answers)

    def _book_failure(self, account: Account, ticket: Ticket) -> None:
        assert ticket.outcome is not None, "booked at its end"  # noqa: S101
        request, status = ticket.request, status_of(ticket)
        label = self._label(request)
        account.failures[ticket.outcome] += 1
        self.failed[label, status] += 1
        if isinstance(ticket.lease, ServedVersion):
            ticket.lease.statistics.failed(ticket, status)
        else:
            self.unversioned[request.protocol, label, status] += 1
        self._tell(account, ticket, status)

    def _tell(self, account: Account, ticket: Ticket, status: str, *, observed: bool = True) -> None:
        """Tell who looks on; what goes wrong there is not the prediction's matter."""
        if observed:
            try:
                self._observe(ticket, status)
            except Exception:
                self.hook_errors.add("log")
        if account.record is not None:
            try:
                account.record(ticket, status)
            except Exception:
                self.hook_errors.add("record")


def _all_of(*parties: Observe) -> Observe | None:
    """Return what tells all parties; one is told directly, and none is nobody."""
    if len(parties) < 2:  # noqa: PLR2004
        return parties[0] if parties else None

    def tell(ticket: Ticket, status: str) -> None:
        for party in parties:
            party(ticket, status)

    return tell


def status_of(ticket: Ticket) -> str:
    """Return the status that metrics and logs show of an end that is no answer: CANCELLED, or the error's code."""
    return "CANCELLED" if ticket.error is None else ticket.error.code.value
