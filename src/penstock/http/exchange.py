"""One prediction on a connection of the fast path: from its head to the bytes of its answer. It is the predictor's reply."""

import logging
from functools import lru_cache
from typing import Protocol

from penstock.domain.errors import Cancelled, Internal, PenstockError
from penstock.domain.request import InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.domain.ticket import Ticket
from penstock.http.call import PredictionCall
from penstock.http.codec import HEADER_LENGTH, OCTETS
from penstock.http.errors import JSON, STATUS, error_body, error_hints, header_lines
from penstock.http.framing import Body, ChunkedBody, SizedBody
from penstock.http.gate import Gate
from penstock.http.head import Head
from penstock.inference.predictor import Nobody, Predictor
from penstock.wire.call import ARM, AUTHORIZATION, MODEL_VERSION, REQUEST_ID, any_request_id, server_timing
from penstock.wire.raw import Buffer

_log = logging.getLogger(__name__)
_LEFT = Cancelled("the client left before the end of its request")


class Connection(Protocol):
    """Where the answer goes."""

    gate: Gate

    def answered(self) -> None:
        """Hear that the answer of an exchange can be written."""

    def is_last(self, exchange: "Exchange") -> bool:
        """Tell whether nothing has been asked after the exchange."""


class Exchange:
    """A request and its answer, with exactly one answer unless the client leaves first. Lives on the event loop."""

    __slots__ = ("_call", "_connection", "_encode", "_predictor", "_request", "_schema", "_ticket", "answer_parts", "keep_alive")

    def __init__(self, call: PredictionCall, connection: Connection, predictor: Predictor, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        """Whether the connection takes further requests."""
        self.answer_parts: list[Buffer] | None = None
        """The answer, head and all, once it is there."""
        self._call = call
        self._connection = connection
        self._predictor = predictor
        self._schema: ModelSchema | None = None
        self._ticket: Ticket | None = None

    def begin(self, now_ns: int) -> None:
        """Judge what the head tells; what it refuses is answered at once."""
        self._request = self._call.opened(now_ns)
        access, call = self._connection.gate.access, self._call
        try:
            if access is not None:  # each time: the same head may come again after its key was revoked
                self._request.caller = access.predicting(call.headers.get(AUTHORIZATION), call.model)
            self._schema = call.begin(self._request, self._predictor.catalog)
        except PenstockError as error:
            self.refuse(error)

    def body(self, head: Head, limit: int) -> Body:
        """Return what receives the body: it is not kept if the request is refused already."""
        wanted = self._schema is not None
        if head.chunked:
            return ChunkedBody(limit, keep=wanted)
        return SizedBody(head.content_length, self._call.json_bytes, keep=wanted)

    def complete(self, body: Buffer) -> None:
        """Take the whole body and start the prediction."""
        if self._schema is None:
            return
        try:
            self._encode = self._call.decode(body, self._request, self._schema, self._connection.gate.options.max_body_bytes)
        except PenstockError as error:
            self.refuse(error)
        except Exception:
            _log.exception("a request could not be read for a reason of ours")
            self.refuse(Internal("the server failed to read the request; its log tells more"))
        else:
            ticket = self._predictor.submit(self._request, self)
            if self.answer_parts is None:  # else it is over, and would keep its tensors: it knows this exchange
                self._ticket = ticket

    def refuse(self, error: PenstockError) -> None:
        """Book a request that never became a prediction, and answer it."""
        self._schema = None
        self._request.request_id = self._request.request_id or any_request_id(self._call.request_id)
        self._predictor.refuse(self._request, self, error)

    def leave(self, error: PenstockError = _LEFT) -> None:
        """Stop: nobody waits for the answer any more, or none can be given on this connection."""
        if self.answer_parts is not None:
            return  # booked already, though it may not have been written
        if self._ticket is not None:
            self._ticket.cancel()
        elif self._schema is not None:
            self._schema = None
            self._predictor.refuse(self._request, Nobody(), error)

    def answer(self, response: InferenceResponse) -> None:
        """Write the answer; see `Reply`."""
        try:
            parts = self._written(response)
        except PenstockError as error:
            self.fail(error)
        except Exception:
            _log.exception("an answer could not be written for a reason of ours")
            self.fail(Internal("the server failed to write the answer; its log tells more"))
        else:
            self._finish(parts)

    def fail(self, error: PenstockError) -> None:
        """Write the error; see `Reply`."""
        hints = error_hints(error)
        if hints.get("connection") == "close" or self._is_farewell():
            self.keep_alive = False
        headers = {**hints, REQUEST_ID: self._request.request_id}
        self._finish(self._connection.gate.error_answer(STATUS[error.code], error_body(error), headers, keep_alive=self.keep_alive))

    def _written(self, response: InferenceResponse) -> list[Buffer]:
        gate = self._connection.gate
        if gate.admission.leaving and self._is_farewell():
            self.keep_alive = False
        encoded = self._encode(response)
        if self._call.answer_coding:
            encoded = self._call.compressed(encoded, gate.options.compress_above_bytes)
        size = 0
        for part in encoded.parts:
            size += len(part)
        head = b"%b%b%b\r\nserver-timing: %b\r\ncontent-length: %b\r\n\r\n" % (
            _answer_head(response.version.version, response.arm, encoded.json_bytes, encoded.coding, self.keep_alive),
            gate.date_and_id,
            response.request_id.encode(),
            server_timing(response.timeline).encode(),
            str(size).encode(),
        )
        return [head, *encoded.parts]

    def _is_farewell(self) -> bool:
        """Tell whether the server is leaving and owes this connection nothing more."""
        return self._connection.gate.admission.leaving and self._connection.is_last(self)

    def _finish(self, parts: list[Buffer]) -> None:
        self.answer_parts = parts
        self._ticket = None  # which knows this exchange: a cycle would keep the tensors until the garbage collector comes by
        self._connection.answered()


class Refused:
    """Stands in the queue of answers for a request that could not be read."""

    keep_alive = False

    def __init__(self, answer_parts: list[Buffer]) -> None:
        self.answer_parts: list[Buffer] | None = answer_parts

    def leave(self) -> None:
        """Do nothing: nobody works on it."""


@lru_cache(100)  # versions come and go
def _answer_head(version: str, arm: str, json_bytes: int | None, coding: str, keep_alive: bool) -> bytes:
    """Return the lines that answers of one kind have in common."""
    headers = {"content-type": JSON if json_bytes is None else OCTETS, MODEL_VERSION: version, ARM: arm}
    if json_bytes is not None:
        headers[HEADER_LENGTH] = str(json_bytes)
    if coding:
        headers["content-encoding"] = coding
    if not keep_alive:
        headers["connection"] = "close"
    return b"HTTP/1.1 200 OK\r\n" + header_lines(headers)
