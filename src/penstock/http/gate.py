"""What the connections of one listener share: its limits, the heads it has seen, and the watch over their deadlines."""

import asyncio
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol

from penstock.domain.clock import monotonic
from penstock.domain.errors import ErrorCode
from penstock.execution.descriptors import Part, most_connections
from penstock.http.errors import JSON, error_body, header_lines
from penstock.http.head import Head, Refusal, read_head
from penstock.http.options import HttpOptions
from penstock.inference.admission import Admission
from penstock.inference.predictor import Predictor
from penstock.security.access import Access
from penstock.telemetry.vitals import Connections
from penstock.wire.call import REQUEST_ID
from penstock.wire.raw import Buffer

_HINTS: Final = {
    HTTPStatus.SERVICE_UNAVAILABLE: {"retry-after": "1"},
    HTTPStatus.METHOD_NOT_ALLOWED: {"allow": "GET, POST"},
}
_FIRST_LINES: Final = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
_MOST_HEADS: Final = 1024
_LONGEST_HEAD: Final = 2048
_LONGEST_WATCH_S: Final = 1.0
_SHORTEST_WATCH_S: Final = 0.02
_CATCH_UP_S: Final = 0.001


class Watched(Protocol):
    """A connection that has deadlines."""

    def watch(self, now_ns: int) -> None:
        """End what has taken too long."""


class Gate:
    """Lives on the event loop."""

    def __init__(
        self,
        options: HttpOptions,
        admission: Admission,
        predictor: Predictor | None = None,
        access: Access | None = None,
        counts: Connections | None = None,
    ) -> None:
        """Without a predictor every route belongs to the application, as on the admin listener; without `access` nobody needs a key."""
        self.options: Final = options
        self.admission: Final = admission
        self.predictor: Final = predictor
        self.access: Final = access
        part = Part.ADMIN if predictor is None else Part.PREDICTIONS
        self.connections: Final[set[Watched]] = set()
        self._tell_time()
        self.counts: Final = counts or Connections()
        self.counts.most = most_connections(options.max_connections, part)
        self.heads: Final[dict[bytes, Head]] = {}
        """The heads that were read before, by their bytes."""
        self._watching = False
        self._pause_s = watch_interval_s(options)

    def read(self, text: bytes) -> Head:
        """Return the head that the bytes hold, and keep it; raises `Refusal`.

        Clients repeat themselves to the byte: looking up a head that was read before costs a tenth of reading it again. What is
        kept is bounded, and never a head that is refused.
        """
        head = read_head(text, self.options)
        if len(self.heads) >= _MOST_HEADS:
            self.heads.clear()
        if len(text) <= _LONGEST_HEAD:
            self.heads[text] = head
        return head

    def enter(self, connection: Watched) -> bool:
        """Take a connection in, or return False if there are too many."""
        self.connections.add(connection)
        if not self._watching:
            self._watching = True
            self._watch()
        return self.counts.entered(len(self.connections))

    def full(self) -> Refusal:
        """Return the refusal of a connection beyond the limit."""
        text = f"the server has {self.counts.most} connections, which is its limit; try again soon"
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, text, ErrorCode.UNAVAILABLE)

    def leave(self, connection: Watched) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self.counts.open = len(self.connections)

    def error_answer(self, status: int, body: bytes, headers: Mapping[str, str], *, keep_alive: bool) -> list[Buffer]:
        """Return the bytes of an answer that tells of an error. Quick, since whoever is overloaded refuses a lot."""
        lasting = headers if keep_alive else {**headers, "connection": "close"}
        lines = header_lines({**lasting, "content-type": JSON, "content-length": str(len(body))})
        return [b"%b%b%b\r\n" % (_FIRST_LINES[status], self._date, lines), body]

    def refusal_answer(self, refusal: Refusal, *, bodiless: bool = False) -> list[Buffer]:
        """Return the bytes of the last answer of a connection: to a request that could not be read."""
        parts = self.error_answer(refusal.status, error_body(refusal), _HINTS.get(refusal.status, {}), keep_alive=False)
        return parts[:1] if bodiless else parts

    def _watch(self) -> None:
        """Look at every connection now and then: one timer for all costs less than one for each request."""
        self._tell_time()
        self._watching = bool(self.connections)
        if self._watching:
            asyncio.get_running_loop().call_later(self._pause_s, self._catch_up)

    def _tell_time(self) -> None:
        self._date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        self.date_and_id = self._date + f"{REQUEST_ID}: ".encode()
        """The lines of every answer up to the value of its request id."""

    def _catch_up(self) -> None:
        """Read first what has arrived: where the loop itself was late, its clients were not."""
        asyncio.get_running_loop().call_later(_CATCH_UP_S, self._look)

    def _look(self) -> None:
        now_ns = monotonic()
        for connection in list(self.connections):
            connection.watch(now_ns)
        self._watch()


def watch_interval_s(options: HttpOptions) -> float:
    """Return how often deadlines are looked at: a deadline is kept within a quarter of its length, or two seconds."""
    shortest = min(options.head_timeout_s, options.body_timeout_s, options.write_timeout_s, options.keep_alive_s)
    return min(_LONGEST_WATCH_S, max(_SHORTEST_WATCH_S, shortest / 8))
