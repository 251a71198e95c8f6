"""Follow a request here: HTTP and gRPC both end in `Predictor.submit` and in nothing else.

The stops on the way, each a file: the socket and its codec (`http/predict.py`, `grpc/service.py`) make an `InferenceRequest`;
then, below, ledger, admission, catalog, schema, batcher; a lane (`execution/lane.py`) runs the session; the ticket
(`domain/ticket.py`) carries the rows back to the reply, which is the codec again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from penstock.domain.errors import Internal, PenstockError
from penstock.domain.request import InferenceRequest, InferenceResponse, Reply
from penstock.domain.ticket import Ticket
from penstock.inference.admission import Admission
from penstock.inference.ledger import Ledger
from penstock.lifecycle.catalog import Catalog

_log = logging.getLogger(__name__)


class Predictor:
    """The one path every prediction takes, whichever wire it came in on. Lives on the event loop."""

    def __init__(
        self, ledger: Ledger, admission: Admission, catalog: Catalog, watches: Mapping[str, Callable[[Ticket], None]] | None = None
    ) -> None:
        """`watches` look at predictions that are under way, by model: those whose answers shadows are to follow."""
        self.catalog = catalog
        self._watches = {} if watches is None else watches
        self._ledger = ledger
        self._admission = admission

    def submit(self, request: InferenceRequest, reply: Reply) -> Ticket:
        """Start one prediction; `reply` hears of its end exactly once, maybe before this returns.

        The ticket is for a caller who leaves: `ticket.cancel()`.
        """
        ticket = self._ledger.open(request, reply)  # from here on exactly one end
        try:
            if (caller := request.caller) is not None:
                caller.admit(request.model, request.arrived_ns)  # what it may ask for, and how much
            self._admission.admit(request)  # draining: refused here, at once
            version = self.catalog.lease(request, ticket)  # released by the ticket's end
            version.schema.check(request)  # names, types, shapes
            version.batcher.arrive(ticket)  # its end also feeds statistics, metrics and the log
            if (watch := self._watches.get(request.model)) is not None:
                self._watched(watch, ticket)
        except PenstockError as error:
            ticket.fail(error)
        except Exception:
            _log.exception("a prediction failed before it was queued")
            ticket.fail(Internal("the server failed to start the prediction; its log tells more"))
        return ticket

    def _watched(self, watch: Callable[[Ticket], None], ticket: Ticket) -> None:
        try:
            watch(ticket)
        except Exception:
            self._ledger.hook_errors.add("shadow")

    def refuse(self, request: InferenceRequest, reply: Reply, error: PenstockError) -> None:
        """Book a prediction that was received but could not be decoded, and tell the reply."""
        self._ledger.open(request, reply).fail(error)

    async def predict(self, request: InferenceRequest) -> InferenceResponse:
        """Return the answer, or raise the `PenstockError` that stands in its place; for ASGI, scripts and tests.

        Cancelling the call cancels the prediction.
        """
        reply = FutureReply()
        ticket = self.submit(request, reply)
        try:
            return await reply.future
        except asyncio.CancelledError:
            ticket.cancel()
            raise


class FutureReply:
    """A reply that can be awaited."""

    def __init__(self) -> None:
        self.future: asyncio.Future[InferenceResponse] = asyncio.get_running_loop().create_future()

    def answer(self, response: InferenceResponse) -> None:
        """Resolve the future, unless its waiter has gone."""
        if not self.future.done():
            self.future.set_result(response)

    def fail(self, error: PenstockError) -> None:
        """Raise the error in the waiter, unless it has gone."""
        if not self.future.done():
            self.future.set_exception(error)


class Nobody:
    """A reply for a caller who is told otherwise."""

    def answer(self, response: InferenceResponse) -> None:
        """Drop the answer."""

    def fail(self, error: PenstockError) -> None:
        """Drop the error."""
