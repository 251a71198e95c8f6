"""What is recorded of payloads, as metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.telemetry.family import Family, Samples

PAYLOAD_FAMILIES: Final = (
    Family("penstock_payload_rows_total", "counter", ("sink",), "Predictions that are recorded."),
    Family("penstock_payload_dropped_total", "counter", ("sink", "reason"), "Predictions that were to be recorded and are not."),
    Family("penstock_payload_queue_bytes", "gauge", (), "Bytes of inputs and answers that wait to be recorded."),
)


@dataclass(frozen=True, slots=True)
class PayloadView:
    """What a scrape reads of the record of payloads."""

    sink: str = ""
    rows: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    queue_bytes: int = 0


def payload_samples(view: PayloadView) -> dict[str, Samples]:
    """Return the samples of each family."""
    rows: Samples = [([view.sink], view.rows)] if view.sink else []
    return {
        "penstock_payload_rows_total": rows,
        "penstock_payload_dropped_total": [([view.sink, reason], count) for reason, count in view.dropped.items()],
        "penstock_payload_queue_bytes": [([], view.queue_bytes)],
    }
