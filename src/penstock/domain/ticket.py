"""One prediction on its way through the house."""

from collections.abc import Callable
from typing import Protocol

from penstock.domain.clock import Clock
from penstock.domain.errors import PenstockError
from penstock.domain.model import ModelVersion
from penstock.domain.outcome import ANSWERED, OUTCOME_OF, Outcome
from penstock.domain.request import InferenceRequest, InferenceResponse, Reply, Timeline
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import Tensor


class Lease(Protocol):
    """Keeps a version loaded while a prediction uses it."""

    identity: ModelVersion
    schema: ModelSchema

    def release(self) -> None:
        """Give the version back; called once."""


class Queue(Protocol):
    """Where a ticket may be waiting."""

    def withdraw(self, ticket: "Ticket") -> None:
        """Forget the ticket's work that has not started."""


class Ticket:
    """A request and its reply, with exactly one end: answered, failed or cancelled.

    Lives on the event loop. What comes after the end is ignored: a batch may finish after its caller has left.
    """

    __slots__ = ("_clock", "_on_end", "arm", "error", "lease", "outcome", "queue", "reply", "request", "response", "timeline")

    def __init__(self, request: InferenceRequest, reply: Reply, on_end: Callable[["Ticket"], None], clock: Clock) -> None:
        self.request = request
        self.reply = reply
        self.timeline = Timeline()
        self.arm = "stable"
        self.lease: Lease | None = None
        self.queue: Queue | None = None
        self.outcome: Outcome | None = None
        self.error: PenstockError | None = None
        self.response: InferenceResponse | None = None
        self._on_end = on_end
        self._clock = clock

    def answer(self, outputs: list[Tensor], batch_rows: int) -> None:
        """End with the outputs, in the order of the request."""
        if self.settle(outputs, batch_rows, self._clock()):
            self.deliver()

    def settle(self, outputs: list[Tensor], batch_rows: int, now_ns: int) -> bool:
        """Take the answer without telling anybody yet: the first half of `answer`, so that a batch is counted as a whole.

        Returns whether there is still somebody to `deliver` it to.
        """
        if self.outcome is not None or self.lease is None:
            return False
        request, timeline = self.request, self.timeline
        self.response = InferenceResponse(
            self.lease.identity, outputs, request.request_id, request.client_id, arm=self.arm, batch_rows=batch_rows, timeline=timeline
        )
        timeline.total_ns = now_ns - request.arrived_ns
        self.outcome = ANSWERED
        return True

    def deliver(self) -> None:
        """Tell of the answer that was settled."""
        if self.response is None or self.lease is None:
            return
        self.queue = None  # a cycle would keep the tensors until the garbage collector comes by
        self._on_end(self)
        self.lease.release()
        self.reply.answer(self.response)

    def fail(self, error: PenstockError) -> None:
        """End with an error."""
        if self.outcome is not None:
            return
        self.error = error.bare()
        self._end(OUTCOME_OF[error.code])
        self.reply.fail(error)

    def cancel(self) -> None:
        """End because the caller has left; the reply is not called, and work that has not started never does."""
        if self.outcome is not None:
            return
        queue = self.queue
        self._end(Outcome.CANCELLED)
        if queue is not None:
            queue.withdraw(self)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.queue = None
        self.timeline.total_ns = self._clock() - self.request.arrived_ns
        # Counters move before the reply does: a client that asks for statistics right after its answer finds itself in them.
        self._on_end(self)
        if self.lease is not None:
            self.lease.release()
