"""What is told of traces, as metrics."""

from typing import Final

from penstock.telemetry.family import Family, Samples
from penstock.telemetry.tracer import Tracer

TRACE_FAMILIES: Final = (
    Family("penstock_traces_total", "counter", (), "Predictions whose spans the collector has."),
    Family("penstock_trace_dropped_total", "counter", ("reason",), "Predictions whose spans are lost: queue_full, collector, fault."),
)


def trace_samples(tracer: Tracer | None) -> dict[str, Samples]:
    """Return the samples of each family; none where nothing is traced."""
    if tracer is None or not tracer.is_on:
        return {family.name: [] for family in TRACE_FAMILIES}
    return {
        "penstock_traces_total": [([], tracer.exported)],
        "penstock_trace_dropped_total": [([reason], count) for reason, count in tracer.dropped.items()],
    }
