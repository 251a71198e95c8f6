"""The HTTP fast path: predictions are answered where their bytes arrive; every other request falls through to the application.

Uvicorn has no deadlines, no caps on heads and connections, and makes a task, a scope and several events for each request. Here a
request is framed by this class (RFC 9112), a prediction becomes an `Exchange` in the same callback, and the bytes of all else are
handed on to uvicorn's protocol, one request at a time, as if they had been alone on the wire.
"""

import asyncio
from collections import deque
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from penstock.domain.clock import monotonic
from penstock.domain.errors import InvalidInput, TooLarge
from penstock.http.exchange import Exchange, Refused
from penstock.http.framing import Body, body_passed_on
from penstock.http.gate import Gate
from penstock.http.handover import Handover, Loop
from penstock.http.head import Head, Refusal, check_begun, overlong, too_slow
from penstock.http.inflate import too_large
from penstock.http.wait import ANSWER, BODY, END, HEAD, REQUEST, Wait

_BLANK_LINE: Final = b"\r\n\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class FastPath(Handover):
    """One connection. Lives on the event loop."""

    def __init__(self, gate: Gate, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Loop | None = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.gate = gate
        self._wait = Wait()
        self._held = b""
        """Bytes that wait: for the rest of their head, or for their turn."""
        self._pending: deque[Exchange | Refused] = deque()
        """What has been asked and not been answered, in order."""
        self._exchange: Exchange | None = None
        """The prediction whose body is arriving."""
        self._body: Body | None = None
        self._owes_continue = False
        self._closes = False
        """Whether the prediction that was begun last said that it is the last one (RFC 9112, section 9.6)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it if there are too many."""
        super().connection_made(transport)
        if not self.gate.enter(self):
            self._refuse(self.gate.full())
            if self.gate.counts.crowded:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what the client no longer waits for. It also counts as gone when it has only stopped sending."""
        self.gate.leave(self)
        for exchange in self._pending:
            exchange.leave()
        self._pending.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, from half a head to many requests."""
        if self._wait.phase is END:
            return
        if self._held:
            data, self._held = self._held + data, b""
        self._receive(data, monotonic())

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._go_on()

    def shutdown(self) -> None:
        """Close as soon as what was asked is answered."""
        if self._application_busy or not self._pending:
            super().shutdown()

    def _receive(self, data: bytes, now_ns: int) -> None:
        start, end = 0, len(data)
        try:
            while start < end and self._wait.phase is not END and not (self._closes and self._body is None):
                if self._body is None and (self._pending or self._application_busy or self.flow.write_paused) and self._must_wait():
                    self._hold(data, start)
                    return
                start = self._take_head(data, start, now_ns) if self._body is None else self._take_body(self._body, data, start)
        except Refusal as refusal:
            self._refuse(refusal, bodiless=self._takes_no_body(data, start))
        except TooLarge as error:
            self._too_large(error, bodiless=self._takes_no_body(data, start))

    def _takes_no_body(self, data: bytes, start: int) -> bool:
        """Tell whether a request is a HEAD: nothing but the head of its answer is sent (RFC 9110, section 9.3.2)."""
        if self._body is None:
            return data[start:].lstrip(b"\r\n").startswith(b"HEAD ")
        return self._exchange is None and self.scope["method"] == "HEAD"

    def _must_wait(self) -> bool:
        """Tell whether what comes next has to wait for what is being answered."""
        return self._application_busy or self.flow.write_paused or len(self._pending) >= self.gate.options.max_pipelined

    def _hold(self, data: bytes, start: int) -> int:
        self._held = data[start:]
        self.flow.pause_reading()
        return len(data)

    def _go_on(self) -> None:
        """Take up again what has been held."""
        if self._must_wait() or self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._held:
            self.data_received(b"")

    def _take_head(self, data: bytes, start: int, now_ns: int) -> int:
        stop = data.find(_BLANK_LINE, start) + len(_BLANK_LINE)
        # Blank lines before a request are skipped (RFC 9112, section 2.2).
        if data[start] == _BLANK_LINE[0] and data.startswith(b"\r\n", start):
            return start + 2
        if stop < len(_BLANK_LINE):
            return self._await_head(data, start)
        text = data[start:stop]
        head = self.gate.heads.get(text) or self.gate.read(text)
        if head.call is None or self.gate.predictor is None:
            return self._pass_on(head, data, start, stop)
        exchange = Exchange(head.call, self, self.gate.predictor, keep_alive=head.keep_alive)
        self._pending.append(exchange)
        self._closes = not head.keep_alive
        self._wait.phase = ANSWER
        until = stop + head.content_length
        if until <= len(data) and head.is_plain and head.content_length <= self.gate.options.max_body_bytes:
            exchange.begin(now_ns)
            exchange.complete(data[stop:until])
            return until
        self._begin(exchange, head, now_ns)
        return stop

    def _await_head(self, data: bytes, start: int) -> int:
        begun = data[start:]
        check_begun(begun, self.gate.options)
        if self._wait.phase is not HEAD:
            self._wait.enter(HEAD)
        self._held = begun
        return len(data)

    def _begin(self, exchange: Exchange, head: Head, now_ns: int) -> None:
        """Start a prediction whose body is yet to come, or is not wanted."""
        limit = self.gate.options.max_body_bytes
        keep_alive, oversized = exchange.keep_alive, head.content_length > limit
        # Refused now, the body may or may not be sent, or is too much to be skipped: nobody could tell where the next request starts.
        exchange.keep_alive = keep_alive and not (oversized or head.expects_continue)
        exchange.begin(now_ns)
        if oversized and exchange.answer_parts is None:
            exchange.refuse(too_large(limit))
        if exchange.answer_parts is not None and not exchange.keep_alive:
            self._wait.enter(END)  # also where the answer has to wait for others
            return
        exchange.keep_alive = keep_alive
        self._exchange = exchange
        self._wait.enter(BODY)
        self._body = exchange.body(head, limit)
        self._owes_continue = head.expects_continue
        self._invite()
        if self._body.complete:
            self._end_body()

    def _invite(self) -> None:
        """Ask for the body of a client that waits for that, once all answers before it are written."""
        if self._owes_continue and self._pending[0] is self._exchange:
            self._owes_continue = False
            self.transport.write(_CONTINUE)

    def _take_body(self, body: Body, data: bytes, start: int) -> int:
        stop = body.feed(data, start)
        if self._exchange is None:
            self._hand_on(data[start:stop])
        if body.complete:
            self._end_body()
        return stop

    def _end_body(self) -> None:
        body, exchange, self._body, self._exchange = self._body, self._exchange, None, None
        self._wait.phase, self._owes_continue = ANSWER, False
        if exchange is not None and body is not None:
            exchange.complete(body.whole())
        self._rest()

    def _pass_on(self, head: Head, data: bytes, start: int, stop: int) -> int:
        """Hand a request on to the application, once everything before it is answered."""
        if self._pending:
            return self._hold(data, start)
        limit = self.gate.options.max_body_bytes
        if head.content_length > limit:
            raise too_large(limit)
        self._hand_over(data[start:stop])
        if self.gate.admission.leaving:
            self.cycle.keep_alive = False
        self._body = body_passed_on(head, limit)
        self._wait.enter(ANSWER if self._body is None else BODY)
        return stop

    def answered(self) -> None:
        """Write what can be written, in the order of the requests."""
        pending = self._pending
        while pending and (parts := pending[0].answer_parts) is not None:
            first = pending.popleft()
            self.transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
            if not first.keep_alive:
                self._end()
                return
        if not pending:
            self._rest()
        if self._owes_continue:
            self._invite()
        if self._held or self.flow.read_paused:
            self._go_on()

    def is_last(self, exchange: Exchange) -> bool:
        """Tell whether nothing has been asked after the exchange."""
        return self._pending[-1] is exchange

    def _handed_back(self) -> None:
        self._rest()
        self._go_on()

    def _rest(self) -> None:
        """Wait for the next request, if nothing is left of the last one."""
        if self._wait.phase is ANSWER and not self._pending and not self._application_busy:
            self._wait.enter(REQUEST)

    def _refuse(self, refusal: Refusal, *, bodiless: bool = False) -> None:
        """Answer what cannot be read, after everything that could, and end the connection."""
        if self._is_answered():
            self._end()
            return
        if self._exchange is not None and self._exchange.answer_parts is not None:
            self._read_no_more(self._exchange)
            return
        if self._exchange is not None:
            self._exchange.leave(InvalidInput(refusal.message))
            self._pending.remove(self._exchange)
            self._exchange = None
        if self._application_busy and self.cycle.response_started:
            self.transport.close()
            return
        self._pending.append(Refused(self.gate.refusal_answer(refusal, bodiless=bodiless)))
        self._wait.enter(END)
        self.answered()

    def _is_answered(self) -> bool:
        """Tell whether the request whose body is arriving has its answer already: a second one would be taken for the next request's."""
        return self._body is not None and not self._application_busy and self._exchange not in self._pending

    def _too_large(self, error: TooLarge, *, bodiless: bool) -> None:
        exchange = self._exchange
        if exchange is None or self._is_answered():
            self._refuse(overlong(error), bodiless=bodiless)
            return
        self._read_no_more(exchange)
        if exchange.answer_parts is None:
            exchange.refuse(error)

    def _read_no_more(self, exchange: Exchange) -> None:
        """Let an exchange be the connection's last, though its answer may have to wait for others."""
        exchange.keep_alive = False
        self._exchange = self._body = None
        self._wait.enter(END)

    def _end(self) -> None:
        """Send no more, and drop what still comes: closing at once would turn unread bytes into a reset that outruns the answer."""
        for exchange in self._pending:
            exchange.leave()
        self._pending.clear()
        self._silence()
        self._exchange = self._body = None
        self._held = b""
        self._wait.enter(END)
        if not self.transport.can_write_eof() or self.transport.is_closing():
            self.transport.close()
        else:
            self.transport.write_eof()
            self.flow.resume_reading()

    def watch(self, now_ns: int) -> None:
        """End what has taken too long."""
        if self._wait.is_stuck(now_ns, self.transport.get_write_buffer_size(), self.gate.options):
            self.transport.abort()
        if self.flow.read_paused or (self._pending and self._wait.phase is END):  # nobody listens, or we owe an answer
            self._wait.since_ns = now_ns
        waited_s = self._wait.overdue_s(now_ns, self._body.received if self._body is not None else 0, self.gate.options)
        phase = self._wait.phase
        if waited_s and (phase is BODY or (phase is HEAD and self._held)):
            self._refuse(too_slow(phase.name.lower(), waited_s))
        elif waited_s:
            self.transport.close()
