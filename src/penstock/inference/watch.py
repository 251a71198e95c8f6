"""Which predictions of a model are shadowed, decided as they come."""

from collections.abc import Callable, Sequence
from typing import Protocol

from penstock.domain.errors import PenstockError
from penstock.domain.request import InferenceRequest, InferenceResponse, Reply
from penstock.domain.route import PINNED
from penstock.domain.ticket import Ticket
from penstock.inference.shadow_queue import ShadowEnd, ShadowQueue
from penstock.telemetry.tracer import Sending
from penstock.traffic.marks import MARKS, mark_of

Tell = Callable[[InferenceRequest, InferenceResponse, Sequence[ShadowQueue]], None]


class Follower(Protocol):
    """Who follows what was answered."""

    @property
    def busy(self) -> bool:
        """Whether there is no time for any."""

    def answered(self, request: InferenceRequest, response: InferenceResponse, queues: Sequence[ShadowQueue]) -> None:
        """Hear of an answer, after the caller has."""


class Watch:
    """Samples the predictions of one model that its route has placed. Called for each of them: costs a checksum, or nothing at 100 %."""

    __slots__ = ("_all", "_follower", "_shadows")

    def __init__(self, shadows: Sequence[tuple[int, ShadowQueue]], follower: Follower) -> None:
        """`shadows` come with the mark below which a request is theirs."""
        self._shadows = shadows
        self._all = [queue for _, queue in shadows] if all(threshold >= MARKS for threshold, _ in shadows) else []
        self._follower = follower

    def __call__(self, ticket: Ticket) -> None:
        """Have a prediction that is under way followed, if it is sampled; a version in the URL bypasses the route, and its shadows."""
        if ticket.arm == PINNED:
            return
        queues = self._all
        if not queues:
            mark = mark_of(ticket.request.request_id or str(ticket.request.arrived_ns))
            queues = [queue for threshold, queue in self._shadows if mark < threshold]
            if not queues:
                return
        if self._follower.busy:
            self._skip(queues)
        else:
            ticket.reply = Witness(ticket.reply, ticket.request, queues, self._follower.answered)

    def _skip(self, queues: Sequence[ShadowQueue]) -> None:
        for queue in queues:
            queue.skip(ShadowEnd.BUSY)


class Witness:
    """Stands before a reply and tells of its answer, once the reply has it."""

    __slots__ = ("_reply", "_request", "_tell", "queues")

    def __init__(self, reply: Reply, request: InferenceRequest, queues: Sequence[ShadowQueue], tell: Tell) -> None:
        self._reply = reply
        self._request = request
        self.queues = queues
        self._tell = tell

    def answer(self, response: InferenceResponse) -> None:
        """Pass the answer on, and then tell of it."""
        self._reply.answer(response)
        self._tell(self._request, response, self.queues)

    def fail(self, error: PenstockError) -> None:
        """Pass the error on; there is nothing to compare with."""
        self._reply.fail(error)


def followers_of(ticket: Ticket) -> int:
    """Return how many shadows follow a prediction."""
    reply = ticket.reply.reply if isinstance(ticket.reply, Sending) else ticket.reply  # of a trace, which hears of ends first
    return len(reply.queues) if isinstance(reply, Witness) else 0
