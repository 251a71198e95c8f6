"""Which predictions leave a trace, and that none of them is lost uncounted."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from penstock.domain.errors import Overloaded
from penstock.domain.model import ModelVersion
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.ticket import Ticket
from penstock.domain.trace_context import TraceContext, trace_context_of
from penstock.telemetry import tracer as module
from penstock.telemetry.passage import Passage
from penstock.telemetry.tracer import Tracer

CALLER = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=True)


class Kept:
    """An exporter that keeps what it is given, and takes it or not."""

    def __init__(self, *, takes: bool = True) -> None:
        self.passages: list[Passage] = []
        self.takes = takes
        self.gate = threading.Event()
        self.gate.set()

    def export(self, passages: Sequence[Passage], epoch_ns: int) -> Iterator[tuple[int, bool]]:
        self.gate.wait(30)
        self.passages += passages
        yield len(passages), self.takes

    def close(self) -> None:
        self.gate.set()


class Version:
    """A lease, and a reply."""

    identity = ModelVersion("m", "1", "d")
    error = None

    def release(self) -> None: ...

    def answer(self, response: InferenceResponse) -> None: ...

    def fail(self, error: Exception) -> None:
        self.error = error


def ended(tracer: Tracer, request_id: str = "r", traceparent: str = "", end: str = "answer") -> Ticket:
    """Return a prediction of which the tracer has heard."""
    request = InferenceRequest("http", "m", "", [], request_id=request_id, arrived_ns=1, traceparent=traceparent)
    ticket = Ticket(request, Version(), lambda ticket: tracer.observe(ticket, "OK"), lambda: 1_000)
    ticket.lease = Version()
    if end == "answer":
        ticket.answer([], 1)
    elif end == "fail":
        ticket.fail(Overloaded("full"))
    else:
        ticket.cancel()
    return ticket


def finished(tracer: Tracer) -> None:
    """Send everything."""
    tracer.start()
    tracer.close(30)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_the_callers_flag_decides_whatever_the_ratio(ratio: float) -> None:
    """Both ways; the trace goes on as the caller's."""
    exporter = Kept()
    tracer = Tracer(exporter, ratio)
    ended(tracer, traceparent=CALLER.traceparent)
    ended(tracer, traceparent=CALLER._replace(sampled=False).traceparent)
    finished(tracer)
    (passage,) = exporter.passages
    assert (passage.parent, passage.context.trace_id) == (CALLER, CALLER.trace_id)
    assert passage.context.span_id != CALLER.span_id


def test_a_ratio_begins_that_part_of_traces() -> None:
    """With ids of their own, which the request then has too, so that its log line and row can tell."""
    exporter = Kept()
    tracer = Tracer(exporter, 0.25)
    tickets = [ended(tracer, f"r{number}", traceparent="malformed" if number % 2 else "") for number in range(2_000)]
    finished(tracer)
    assert 400 < len(exporter.passages) < 600
    assert len({passage.context.trace_id for passage in exporter.passages}) == len(exporter.passages)
    told = {ticket.request.request_id: trace_context_of(ticket.request.traceparent) for ticket in tickets}
    assert all(told[passage.request_id] == passage.context for passage in exporter.passages)


@pytest.mark.parametrize("end", ["answer", "fail", "cancel"])
def test_every_end_is_traced_once(end: str) -> None:
    """A cancelled prediction has nobody to tell."""
    exporter = Kept()
    tracer = Tracer(exporter, 1.0)
    ended(tracer, end=end)
    finished(tracer)
    assert len(exporter.passages) == tracer.begun == tracer.exported == 1
    assert exporter.passages[0].sent_ns > 0


def test_what_the_collector_does_not_take_is_counted() -> None:
    """Each prediction is exported or dropped."""
    tracer = Tracer(Kept(takes=False), 1.0)
    for number in range(300):
        ended(tracer, str(number))
    finished(tracer)
    assert (tracer.begun, tracer.exported, dict(tracer.dropped)) == (300, 0, {"collector": 300})


def test_a_collector_that_hangs_costs_traces_and_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded; the rest is counted."""
    monkeypatch.setattr(module, "_MOST", 100)
    exporter = Kept()
    exporter.gate.clear()
    tracer = Tracer(exporter, 1.0)
    for number in range(350):
        ended(tracer, str(number))
    assert dict(tracer.dropped) == {"queue_full": 250}
    finished_by = threading.Thread(target=finished, args=(tracer,))
    finished_by.start()
    exporter.gate.set()
    finished_by.join(30)
    assert tracer.begun == tracer.exported + tracer.dropped.total() == 350


def test_a_fault_of_the_exporter_is_counted() -> None:
    """And ends nothing."""

    class Broken(Kept):
        def export(self, passages: Sequence[Passage], epoch_ns: int) -> Iterator[tuple[int, bool]]:
            yield 1, True
            raise ValueError("broken")

    tracer = Tracer(Broken(), 1.0)
    for number in range(3):
        ended(tracer, str(number))
    finished(tracer)
    assert (tracer.exported, dict(tracer.dropped)) == (1, {"fault": 2})


def test_without_an_exporter_nobody_is_put_before_the_log() -> None:
    """What is off costs nothing."""

    def observe(ticket: Ticket, status: str) -> None: ...

    assert Tracer(None, 0).before(observe) is observe
