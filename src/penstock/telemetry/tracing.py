"""Spans over OTLP/HTTP: the only door to OpenTelemetry, which comes with the extra `otel` and is imported where traces are on."""

import logging
import os
import socket
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentelemetry.util.types import AttributeValue

import penstock
from penstock.domain.clock import NS_PER_US
from penstock.domain.outcome import Outcome
from penstock.domain.trace_context import TraceContext
from penstock.telemetry.options import TelemetryOptions
from penstock.telemetry.passage import Passage, run_of
from penstock.telemetry.span_ids import new_span_id, new_trace_id

_PATH: Final = "/v1/traces"
_BLOCK: Final = 128
_OUR_FAULTS: Final = frozenset({Outcome.FAILED, Outcome.SHED, Outcome.EXPIRED})
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSET: Final = Status()
_SCOPE: Final = InstrumentationScope("penstock", penstock.__version__)


class OtlpExporter:
    """Sends the spans of predictions; see `Exporter`. Headers and certificates come from OTEL_EXPORTER_OTLP_*, which the SDK reads."""

    def __init__(self, options: TelemetryOptions) -> None:
        # It quotes what callers send, on a line of its own; what cannot be sent is counted and told of by `Tracer`.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        address = options.otlp_endpoint.rstrip("/")
        self._resource = Resource.create(
            {
                "service.name": options.service_name,
                "service.version": penstock.__version__,
                "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
                "host.name": socket.gethostname(),
                "process.pid": os.getpid(),
            }
        )
        self._exporter = OTLPSpanExporter(
            endpoint=address if address.endswith(_PATH) else address + _PATH, timeout=options.trace_timeout_s, compression=Compression.Gzip
        )

    def export(self, passages: Sequence[Passage], epoch_ns: int) -> Iterator[tuple[int, bool]]:
        """Yield how many predictions were sent together, and whether the collector has them. Blocks."""
        spans = _Spans(self._resource, epoch_ns).of(passages)
        for start in range(0, len(spans), _BLOCK):
            block = spans[start : start + _BLOCK]
            result = self._exporter.export([span for each in block for span in each])
            yield len(block), result is SpanExportResult.SUCCESS

    def close(self) -> None:
        """End what is being sent."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


class _Spans:
    """Makes the spans of predictions that were told of together."""

    def __init__(self, resource: Resource, epoch_ns: int) -> None:
        self._resource = resource
        self._epoch_ns = epoch_ns

    def of(self, passages: Sequence[Passage]) -> list[list[ReadableSpan]]:
        """Return the spans of each prediction; that of a run which several had a part in is with the first of them."""
        computes = [_within(passage) for passage in passages]
        links: list[list[Link]] = [[] for _ in passages]
        spans: list[list[ReadableSpan]] = [[] for _ in passages]
        for mates in _runs(passages):
            run = SpanContext(new_trace_id(), new_span_id(), is_remote=False, trace_flags=_SAMPLED)
            spans[mates[0]].append(self._run(run, passages[mates[0]], [computes[mate] for mate in mates]))
            for mate in mates:
                links[mate] = [Link(run)]
        for number, passage in enumerate(passages):
            spans[number] += [self._whole(passage), *self._steps(passage, computes[number], links[number])]
        return spans

    def _run(self, context: SpanContext, first: Passage, computes: list[SpanContext]) -> ReadableSpan:
        """Return the span of a run, in a trace of its own: it belongs to none of its callers alone."""
        start_ns = first.timeline.started_ns
        between = start_ns, start_ns + first.timeline.compute_ns
        attributes = _of_model(first) | {"penstock.batch_rows": first.batch_rows}
        return self._span("run", context, None, between, attributes=attributes, links=list(map(Link, computes)))

    def _whole(self, passage: Passage) -> ReadableSpan:
        parent = None if passage.parent is None else _remote(passage.parent, passage.state)
        status = Status(StatusCode.ERROR, passage.status) if passage.outcome in _OUR_FAULTS else _UNSET
        return self._span(
            f"predict {passage.model}".rstrip(),
            _own(passage),
            parent,
            (passage.arrived_ns, passage.sent_ns),
            attributes=_attributes(passage),
            kind=SpanKind.SERVER,
            status=status,
        )

    def _steps(self, passage: Passage, compute: SpanContext, links: list[Link]) -> Iterator[ReadableSpan]:
        timeline, own = passage.timeline, _own(passage)
        ended_ns = passage.arrived_ns + timeline.total_ns
        if timeline.started_ns:
            queued_ns = timeline.started_ns - timeline.queue_ns
            computed_ns = min(timeline.started_ns + timeline.compute_ns, ended_ns)
            yield self._span("receive", _within(passage), own, (passage.arrived_ns, queued_ns))
            yield self._span("queue", _within(passage), own, (queued_ns, timeline.started_ns))
            yield self._span("compute", compute, own, (timeline.started_ns, computed_ns), attributes=_phases(passage), links=links)
        yield self._span("send", _within(passage), own, (ended_ns, passage.sent_ns))

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        between: tuple[int, int],
        *,
        attributes: Mapping[str, AttributeValue] | None = None,
        links: Sequence[Link] = (),
        kind: SpanKind = SpanKind.INTERNAL,
        status: Status = _UNSET,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            attributes=attributes,
            links=links,
            kind=kind,
            status=status,
            start_time=self._epoch_ns + between[0],
            end_time=self._epoch_ns + max(between),
            instrumentation_scope=_SCOPE,
        )


def _runs(passages: Sequence[Passage]) -> Iterator[list[int]]:
    """Yield the positions of the predictions that had a part in one run, for runs with several."""
    runs: defaultdict[tuple[str, str, int, int], list[int]] = defaultdict(list)
    for number, passage in enumerate(passages):
        if passage.timeline.started_ns:
            runs[run_of(passage)].append(number)
    return (mates for mates in runs.values() if len(mates) > 1)


def _own(passage: Passage) -> SpanContext:
    context = passage.context
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), False, _SAMPLED, _state(passage.state))


def _remote(parent: TraceContext, state: str) -> SpanContext:
    return SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, _SAMPLED, _state(state))


def _within(passage: Passage) -> SpanContext:
    """Return a new span of the same trace."""
    return SpanContext(int(passage.context.trace_id, 16), new_span_id(), False, _SAMPLED, _state(passage.state))


def _state(text: str) -> TraceState:
    """Return what the caller's vendors say of the trace; what is malformed is left out."""
    return TraceState.from_header([text]) if text else TraceState()


def _of_model(passage: Passage) -> dict[str, AttributeValue]:
    return {"penstock.model": passage.model, "penstock.version": passage.version, "penstock.digest": passage.digest}


def _attributes(passage: Passage) -> dict[str, AttributeValue]:
    return _of_model(passage) | {
        "penstock.protocol": passage.protocol,
        "penstock.arm": passage.arm,
        "penstock.request_id": passage.request_id,
        "penstock.status": passage.status,
        "penstock.outcome": str(passage.outcome),
        "penstock.batch_rows": passage.batch_rows,
    }


def _phases(passage: Passage) -> Mapping[str, AttributeValue]:
    timeline = passage.timeline
    phases = {"stack": timeline.input_ns, "run": timeline.infer_ns, "split": timeline.output_ns}
    return {f"penstock.{name}_us": ns / NS_PER_US for name, ns in phases.items()}
