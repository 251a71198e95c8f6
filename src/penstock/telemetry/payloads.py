"""What is recorded of payloads, as metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.telemetry.family import Family, Samples

PAYLOAD_FAMILIES: Final = (
    Family("penstock_payload_accepted_total", "counter", ("sink",), "Predictions that were to be recorded."),
    Family("penstock_payload_rows_total", "counter", ("sink",), "Predictions that are recorded."),
    Family("penstock_payload_dropped_total", "counter", ("sink", "reason"), "Predictions that were to be recorded and are not."),
    Family("penstock_payload_waiting_rows", "gauge", ("sink",), "Predictions that are neither recorded nor dropped yet."),
    Family("penstock_payload_queue_bytes", "gauge", ("sink",), "Bytes of inputs and answers that wait to be recorded."),
    Family("penstock_payload_buffer_bytes", "gauge", ("sink",), "Bytes on the disk that wait for a sink elsewhere."),
    Family("penstock_payload_sink_up", "gauge", ("sink",), "Whether a sink elsewhere took what it was last sent."),
)


@dataclass(frozen=True, slots=True)
class PayloadView:
    """What a scrape reads of one sink of recorded payloads."""

    sink: str
    accepted: int = 0
    rows: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    queue_bytes: int = 0
    is_up: bool | None = None
    """None where rows go no further than the disk."""
    buffer_bytes: int = 0


def payload_samples(views: Iterable[PayloadView]) -> dict[str, Samples]:
    """Return the samples of each family."""
    found = list(views)
    elsewhere = [view for view in found if view.is_up is not None]
    return {
        "penstock_payload_accepted_total": [([view.sink], view.accepted) for view in found],
        "penstock_payload_rows_total": [([view.sink], view.rows) for view in found],
        "penstock_payload_dropped_total": [([view.sink, reason], count) for view in found for reason, count in view.dropped.items()],
        "penstock_payload_waiting_rows": [([view.sink], view.waiting) for view in found],
        "penstock_payload_queue_bytes": [([view.sink], view.queue_bytes) for view in found],
        "penstock_payload_buffer_bytes": [([view.sink], view.buffer_bytes) for view in elsewhere],
        "penstock_payload_sink_up": [([view.sink], int(bool(view.is_up))) for view in elsewhere],
    }
