"""ModelStreamInfer: many predictions in one call, at once, answered in the order in which they were asked.

A prediction starts when its message is taken, and its answer is sent when its turn has come: no task waits for either.
"""

from collections import deque
from typing import Final

from penstock.domain.errors import PenstockError, Unavailable
from penstock.grpc.call import CallInfo, Cancellable, Ended, Metadata, StreamReply
from penstock.grpc.predictions import Predictions
from penstock.wire.call import REQUEST_ID, request_id_of

MAX_IN_FLIGHT: Final = 64
"""Predictions of one stream that are read and not yet answered; the sender waits beyond that."""
_TRUE_STATUS: Final = "triton_grpc_error"


class InferStreams:
    """All calls of ModelStreamInfer that are open. Lives on the event loop."""

    def __init__(self, predictions: Predictions) -> None:
        self._predictions: Final = predictions
        self.open: Final[set[InferStream]] = set()
        """Those that have not come to their end."""

    def handle(self, call: CallInfo, reply: StreamReply) -> "InferStream | None":
        """Answer every request of a stream; an error is an answer, or the stream's end if the metadata ask for that.

        The request id of the stream, given or made, and the position give each prediction its id: `<id>-0`, `<id>-1`.
        """
        try:
            request_id = request_id_of(call.metadata.get(REQUEST_ID))
        except PenstockError as error:
            reply.end(Ended(error=error))
            return None
        stream = InferStream(self._predictions, call, reply, request_id, self.open)
        self.open.add(stream)
        return stream

    def close(self) -> None:
        """Read no more requests; each stream ends once it has answered those that it has read."""
        for stream in list(self.open):
            stream.close()


class InferStream:
    """One call. Whatever ends a prediction sends all answers whose turn has come."""

    __slots__ = (
        "_call", "_closed", "_finished", "_full", "_is_over", "_peers", "_places", "_predictions",
        "_reply", "_request_id", "_sends", "_started", "_true_status",
    )  # fmt: skip

    def __init__(self, predictions: Predictions, call: CallInfo, reply: StreamReply, request_id: str, peers: "set[InferStream]") -> None:
        """`peers` are the streams that are open; this one leaves them at its end."""
        self._predictions: Final = predictions
        self._call: Final = call
        self._reply: Final = reply
        self._request_id: Final = request_id
        self._peers: Final = peers
        self._true_status: Final = call.metadata.get(_TRUE_STATUS, "").lower() == "true"
        self._places: Final[deque[_Place]] = deque()
        self._started = 0
        self._full = self._finished = self._closed = self._is_over = False
        self._sends = True
        """Whether the caller takes answers."""

    def take(self, message: bytes) -> bool:
        """Start a prediction; returns whether there is room for another."""
        if self._closed or self._is_over:
            return False
        place = _Place(self)
        self._places.append(place)
        request_id = f"{self._request_id}-{self._started}"
        self._started += 1
        place.hold(self._predictions.infer_in_stream(message, self._call, place, request_id, true_status=self._true_status))
        if self._is_over:  # an earlier message has ended the stream while this one began
            place.cancel()
        self._full = len(self._places) >= MAX_IN_FLIGHT
        return not self._full

    def finish(self) -> None:
        """End once everything is answered."""
        self._finished = True
        self.settle()

    def close(self) -> None:
        """Read no more; what was read is answered, and a caller who has said all that it wanted misses nothing."""
        self._closed = not self._finished
        self.settle()

    def cancel(self) -> None:
        """Call off what is not answered."""
        self._is_over = True
        self._peers.discard(self)
        for place in self._places:
            place.cancel()
        self._places.clear()

    def send_more(self) -> None:
        """Send the answers whose turn has come, as far as the caller takes them."""
        self._sends = True
        self.settle()

    def settle(self) -> None:
        """Do what has become possible."""
        places = self._places
        while places and self._sends and places[0].ended:
            place = places.popleft()
            if place.error is not None:
                self._end(place.error)
                return
            self._sends = self._reply.send(place.message)
        if not places and (self._finished or self._closed):
            self._end(_CLOSED if self._closed else None)
        elif self._full and not self._closed and len(places) < MAX_IN_FLIGHT:
            self._full = False
            self._reply.take_more()

    def _end(self, error: PenstockError | None) -> None:
        if not self._is_over:
            self.cancel()
            self._reply.end(Ended(error=error, trailing=((REQUEST_ID, self._request_id),)))


_CLOSED: Final = Unavailable("the server is shutting down; send further requests to another one")


class _Place:
    """The place of one answer in the order of answers; the reply of its prediction."""

    __slots__ = ("_stream", "_work", "ended", "error", "message")

    def __init__(self, stream: InferStream) -> None:
        self.ended = False
        self.message = b""
        self.error: PenstockError | None = None
        """Why there is no answer, which ends the stream."""
        self._work: Cancellable | None = None
        self._stream = stream

    def hold(self, work: Cancellable | None) -> None:
        """Keep what calls the prediction off until it ends: as it knows this place, a cycle would wait for the garbage collector."""
        if not self.ended:
            self._work = work

    def answer(self, message: bytes, trailing: Metadata = ()) -> None:  # noqa: ARG002 - a message of a stream has none
        """End with an answer."""
        self.message = message
        self._end()

    def fail(self, error: PenstockError, trailing: Metadata = ()) -> None:  # noqa: ARG002 - the stream has its own
        """End with the reason why there is none."""
        self.error = error
        self._end()

    def cancel(self) -> None:
        """Call the prediction off."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()

    def _end(self) -> None:
        self.ended = True
        self._work = None
        self._stream.settle()
