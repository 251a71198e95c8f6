"""Which predictions leave a trace, decided at their end; their spans are made and sent by a thread of its own.

begun = exported + dropped + waiting, always, in predictions.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from penstock.domain.clock import NS_PER_MS, Clock, monotonic
from penstock.domain.errors import PenstockError
from penstock.domain.outcome import Outcome
from penstock.domain.request import InferenceResponse, Reply
from penstock.domain.start import missing_extra
from penstock.domain.ticket import Ticket
from penstock.domain.trace_context import TraceContext, trace_context_of
from penstock.telemetry.options import TelemetryOptions
from penstock.telemetry.passage import Passage, same_run
from penstock.telemetry.span_ids import new_span_id, new_trace_id
from penstock.traffic.marks import mark_of, threshold_of

_log = logging.getLogger(__name__)
_MOST: Final = 8192
"""Predictions that may wait for their spans."""
_BLOCK: Final = 128
_AMPLE: Final = 4096
_PAUSE_S: Final = 1.0
_SETTLED_NS: Final = 50 * NS_PER_MS
"""After this time all predictions of a run have been told of."""
_LAST_TRACES_S: Final = 5.0
_QUIET_S: Final = 30.0
_SALT: Final = 0x7472
"""Which predictions are traced has nothing to do with which are recorded."""
Observe = Callable[[Ticket, str], None]


class Exporter(Protocol):
    """Makes spans of predictions and sends them. Called on the thread only, and may block."""

    def export(self, passages: Sequence[Passage], epoch_ns: int) -> Iterator[tuple[int, bool]]:
        """Yield how many predictions were sent together, and whether the collector has them; `epoch_ns` is when the clock was 0."""

    def close(self) -> None:
        """End what is being sent."""


class Tracer:
    """Hears of ends on the event loop, at the cost of a checksum for those that are not traced; never waits."""

    def __init__(self, exporter: Exporter | None, ratio: float, clock: Clock = monotonic) -> None:
        """Without an exporter nothing is traced."""
        self.begun = 0
        """Predictions that were to leave a trace; the event loop's."""
        self.exported = 0
        """Those whose spans the collector has; the thread's."""
        self.is_on: Final = exporter is not None
        self._unqueued: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._exporter = exporter
        self._threshold = threshold_of(ratio)
        self._clock = clock
        self._passages: deque[Passage] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._told_s = -_QUIET_S

    @property
    def dropped(self) -> Counter[str]:
        """Predictions whose spans are lost, by reason."""
        return self._unqueued + Counter(dict(self._lost))  # a copy at once: the thread may find a new reason meanwhile

    def before(self, observe: Observe) -> Observe:
        """Return what hears of each end: this tracer first, so that others know of the traces that it begins."""
        if not self.is_on:
            return observe

        def both(ticket: Ticket, status: str) -> None:
            self.observe(ticket, status)
            observe(ticket, status)

        return both

    def start(self) -> None:
        """Begin to send."""
        if self._exporter is not None:
            self._thread = threading.Thread(target=self._work, args=(self._exporter,), name="penstock-traces", daemon=True)
            self._thread.start()

    def close(self, within_s: float = _LAST_TRACES_S) -> None:
        """Send what is left; what takes longer is given up. Blocks."""
        self._stopping = True
        self._wake.set()
        if self._thread is None or self._exporter is None:
            return
        self._thread.join(within_s)
        self._exporter.close()
        if self._thread.is_alive():
            _log.error("the traces of %d predictions could not be sent in time", len(self._passages))

    def observe(self, ticket: Ticket, status: str) -> None:
        """Hear of a prediction's end; called before its reply is."""
        request = ticket.request
        parent = trace_context_of(request.traceparent) if request.traceparent else None
        if not self._is_drawn(ticket) if parent is None else not parent.sampled:
            return
        self.begun += 1
        trace_id = f"{new_trace_id():032x}" if parent is None else parent.trace_id
        context = TraceContext(trace_id, f"{new_span_id():016x}", sampled=True)
        if parent is None:
            request.traceparent = context.traceparent
        self._watch_reply(ticket, Passage.of(ticket, status, context, parent))

    def _is_drawn(self, ticket: Ticket) -> bool:
        return mark_of(ticket.request.request_id or str(ticket.request.arrived_ns), _SALT) < self._threshold

    def _watch_reply(self, ticket: Ticket, passage: Passage) -> None:
        if ticket.outcome is Outcome.CANCELLED and ticket.error is None:  # nobody is told
            self._put(passage)
        else:
            ticket.reply = Sending(ticket.reply, passage, self._put)

    def _put(self, passage: Passage) -> None:
        if len(self._passages) >= _MOST:
            self._unqueued["queue_full"] += 1
            return
        self._passages.append(passage._replace(sent_ns=self._clock()))
        if len(self._passages) >= _AMPLE and not self._wake.is_set():
            self._wake.set()

    def _work(self, exporter: Exporter) -> None:
        while not self._stopping:
            self._wake.wait(_PAUSE_S)
            self._wake.clear()
            self._send(exporter, self._clock() - _SETTLED_NS)
        self._send(exporter, self._clock())

    def _send(self, exporter: Exporter, until_ns: int) -> None:
        while passages := self._due(until_ns):
            sent = 0
            try:
                for count, arrived in exporter.export(passages, time.time_ns() - self._clock()):
                    sent += count
                    self._count(count, arrived=arrived)
            except Exception:
                _log.exception("traces cannot be sent for a reason of ours")
                self._lost["fault"] += len(passages) - sent

    def _due(self, until_ns: int) -> list[Passage]:
        """Return the predictions that ended so long ago, all those of a run together."""
        waiting = self._passages
        passages: list[Passage] = []
        while waiting and waiting[0].sent_ns <= until_ns:
            if len(passages) >= _BLOCK and not same_run(passages[-1], waiting[0]):
                break
            passages.append(waiting.popleft())
        return passages

    def _count(self, count: int, *, arrived: bool) -> None:
        if arrived:
            self.exported += count
            return
        self._lost["collector"] += count
        now_s = time.monotonic()
        if now_s - self._told_s >= _QUIET_S:
            self._told_s = now_s
            _log.warning("the collector does not take traces; predictions go on, what is lost is counted")


class Sending:
    """Stands before a reply and hears when it has its answer."""

    __slots__ = ("_passage", "_tell", "reply")

    def __init__(self, reply: Reply, passage: Passage, tell: Callable[[Passage], None]) -> None:
        self.reply = reply
        """Who asked, or who stands before that."""
        self._passage = passage
        self._tell = tell

    def answer(self, response: InferenceResponse) -> None:
        """Pass the answer on, and tell of it."""
        self.reply.answer(response)
        self._tell(self._passage)

    def fail(self, error: PenstockError) -> None:
        """Pass the error on, and tell of it."""
        self.reply.fail(error)
        self._tell(self._passage)


def tracer_of(options: TelemetryOptions) -> Tracer:
    """Return the tracer that the settings ask for; raises `StartError` without the extra `otel`."""
    if not options.otlp_endpoint:
        return Tracer(None, 0)
    try:
        from penstock.telemetry.tracing import OtlpExporter  # noqa: PLC0415 - an extra, and slow to import where it is not needed
    except ImportError as error:
        raise missing_extra("telemetry.otlp_endpoint", "otel") from error
    return Tracer(OtlpExporter(options), options.trace_ratio)
