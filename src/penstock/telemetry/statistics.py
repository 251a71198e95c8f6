"""What one model version has done since it was loaded, as plain integers.

The event loop alone writes; a scrape or a statistics call reads. Meanings follow Triton's statistics extension: each request of
a batch is charged the full time of its batch, `inference_count` counts rows, `execution_count` runs.
"""

import time
from bisect import bisect_left
from typing import Final

from penstock.domain.batch import Run
from penstock.domain.clock import NS_PER_S
from penstock.domain.outcome import Outcome
from penstock.domain.ticket import Ticket

DURATION_BUCKETS_S: Final = (
    0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02,
    0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
_EDGES_NS: Final = tuple(int(edge * NS_PER_S) for edge in DURATION_BUCKETS_S)
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Histogram:
    """Counts by bucket, and their sum."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: tuple[int, ...] = _EDGES_NS) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total = 0

    def add(self, value: int) -> None:
        """Count one value, in the unit of the edges."""
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value


class Duration:
    """A count of events and their nanoseconds."""

    __slots__ = ("count", "ns")

    def __init__(self) -> None:
        self.count = 0
        self.ns = 0

    def add(self, ns: int) -> None:
        """Count one event."""
        self.count += 1
        self.ns += ns


class BatchSizeStatistics:
    """The runs of one batch size."""

    __slots__ = ("compute_infer", "compute_input", "compute_output")

    def __init__(self) -> None:
        self.compute_input = Duration()
        self.compute_infer = Duration()
        self.compute_output = Duration()


class VersionStatistics:
    """Counters of one loaded version."""

    def __init__(self) -> None:
        self.last_inference_ms = 0
        self.inference_count = 0
        self.execution_count = 0
        self.success = Duration()
        self.fail = Duration()
        self.queue = Duration()
        self.compute_input = Duration()
        self.compute_infer = Duration()
        self.compute_output = Duration()
        self.batches: dict[int, BatchSizeStatistics] = {}
        self.batch_rows = Histogram(BATCH_BUCKETS)
        self.requests: dict[tuple[str, str, str], int] = {}
        """Predictions by (arm, protocol, status)."""
        self.durations: dict[str, tuple[Histogram, Histogram, Histogram]] = {}
        """Whole request, queue and compute, by arm."""

    def executed(self, rows: int, run: Run) -> None:
        """Count one successful run."""
        self.execution_count += 1
        self.inference_count += rows
        self.batch_rows.add(rows)
        batch = self.batches.get(rows)
        if batch is None:
            batch = self.batches[rows] = BatchSizeStatistics()
        batch.compute_input.add(run.input_ns)
        batch.compute_infer.add(run.infer_ns)
        batch.compute_output.add(run.output_ns)

    def ended(self, ticket: Ticket, status: str) -> None:
        """Count one prediction at its end, whatever the end."""
        self.last_inference_ms = time.time_ns() // 1_000_000
        key = (ticket.arm, ticket.request.protocol, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        if ticket.outcome is Outcome.ANSWERED:
            self._answered(ticket)
        else:
            self.fail.add(ticket.timeline.total_ns)
        self._observe(ticket)

    def _answered(self, ticket: Ticket) -> None:
        timeline = ticket.timeline
        self.success.add(timeline.total_ns)
        self.queue.add(timeline.queue_ns)
        self.compute_input.add(timeline.input_ns)
        self.compute_infer.add(timeline.infer_ns)
        self.compute_output.add(timeline.output_ns)

    def _observe(self, ticket: Ticket) -> None:
        histograms = self.durations.get(ticket.arm)
        if histograms is None:
            histograms = self.durations[ticket.arm] = (Histogram(), Histogram(), Histogram())
        total, queue, compute = histograms
        total.add(ticket.timeline.total_ns)
        if ticket.outcome is Outcome.ANSWERED:
            queue.add(ticket.timeline.queue_ns)
            compute.add(ticket.timeline.compute_ns)
