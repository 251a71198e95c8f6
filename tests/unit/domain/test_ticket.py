"""A ticket has exactly one end."""

import itertools
import weakref
from collections.abc import Callable

import pytest

from penstock.domain.errors import ErrorCode, InvalidInput, Overloaded, PenstockError
from penstock.domain.model import ModelVersion
from penstock.domain.outcome import OUTCOME_OF, Outcome
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.ticket import Ticket

ENDS: dict[Outcome, Callable[[Ticket], None]] = {
    Outcome.ANSWERED: lambda ticket: ticket.answer([], 3),
    Outcome.SHED: lambda ticket: ticket.fail(Overloaded("full")),
    Outcome.CLIENT_ERROR: lambda ticket: ticket.fail(InvalidInput("bad")),
    Outcome.CANCELLED: lambda ticket: ticket.cancel(),
}


class Witness:
    """Reply, lease, queue and ledger in one, which notes every call in order."""

    identity = ModelVersion("m", "7")

    def __init__(self) -> None:
        self.calls: list[str] = []

    def answer(self, response: InferenceResponse) -> None:
        """Note the answer."""
        assert response.version is self.identity
        self.calls.append("answer")

    def fail(self, error: PenstockError) -> None:
        """Note the error."""
        self.calls.append(f"fail {error.code}")

    def release(self) -> None:
        """Note the lease's end."""
        self.calls.append("release")

    def withdraw(self, ticket: Ticket) -> None:
        """Note that the queue was told; the ticket has ended, so that a run for nobody can be seen to be one."""
        assert ticket.outcome is not None
        self.calls.append("withdraw")

    def booked(self, ticket: Ticket) -> None:
        """Note the booking."""
        self.calls.append(f"booked {ticket.outcome}")


@pytest.fixture
def witness() -> Witness:
    """Return the witness of one ticket."""
    return Witness()


@pytest.fixture
def ticket(witness: Witness) -> Ticket:
    """Return a ticket that arrived at 10 and whose clock stands at 25."""
    request = InferenceRequest("http", "m", "", [], request_id="r", client_id="c", arrived_ns=10)
    ticket = Ticket(request, witness, witness.booked, lambda: 25)
    ticket.lease = ticket.queue = witness
    return ticket


@pytest.mark.parametrize(
    ("outcome", "calls"),
    [
        (Outcome.ANSWERED, ["booked answered", "release", "answer"]),
        (Outcome.SHED, ["booked shed", "release", "fail OVERLOADED"]),
        (Outcome.CLIENT_ERROR, ["booked client_error", "release", "fail INVALID_ARGUMENT"]),
        (Outcome.CANCELLED, ["booked cancelled", "release", "withdraw"]),
    ],
)
def test_end_is_booked_before_anybody_hears_of_it(ticket: Ticket, witness: Witness, outcome: Outcome, calls: list[str]) -> None:
    """Counters first, then the lease, then the reply; a caller who left hears nothing."""
    ENDS[outcome](ticket)

    assert witness.calls == calls
    assert ticket.timeline.total_ns == 15


@pytest.mark.parametrize(("first", "second"), list(itertools.product(ENDS, ENDS)))
def test_second_end_is_ignored(ticket: Ticket, witness: Witness, first: Outcome, second: Outcome) -> None:
    """Whatever comes after the end changes nothing and calls nobody."""
    ENDS[first](ticket)
    calls = list(witness.calls)

    ENDS[second](ticket)

    assert ticket.outcome is first
    assert witness.calls == calls


def test_answer_carries_the_ids_and_the_version(ticket: Ticket) -> None:
    """The response says which version answered, to which request, in which batch."""
    ticket.answer([], 3)

    assert ticket.response is not None
    assert (ticket.response.request_id, ticket.response.client_id) == ("r", "c")
    assert (ticket.response.version.version, ticket.response.batch_rows, ticket.response.arm) == ("7", 3, "stable")


def test_ticket_that_never_got_a_lease_or_queue_can_fail_and_be_cancelled() -> None:
    """A request that was refused at the door has an end too."""
    for end, outcome in ((Ticket.cancel, Outcome.CANCELLED), (ENDS[Outcome.SHED], Outcome.SHED)):
        witness = Witness()
        ticket = Ticket(InferenceRequest("http", "m", "", []), witness, witness.booked, lambda: 0)

        end(ticket)

        assert ticket.outcome is outcome


def test_error_keeps_nothing_that_it_has_come_through(ticket: Ticket) -> None:
    """The frames that it was raised in hold a message, a batch of tensors, and whoever keeps the error."""

    class Message:
        pass

    def refused() -> weakref.ref[Message]:
        message = Message()
        try:
            try:
                int("no number")
            except ValueError as error:
                raise InvalidInput("bad") from error
        except InvalidInput as error:
            ticket.fail(error)
        return weakref.ref(message)

    assert refused()() is None
    assert ticket.error is not None


def test_every_error_code_is_booked_somewhere() -> None:
    """The ledger has a column for every error."""
    assert set(OUTCOME_OF) == set(ErrorCode)
