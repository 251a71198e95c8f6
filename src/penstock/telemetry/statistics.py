"""What one model version has done since it was loaded, as plain integers.

The event loop alone writes; a scrape or a statistics call reads. Meanings follow Triton's statistics extension: each request of
a batch is charged the full time of its batch, `inference_count` counts rows, `execution_count` runs.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from penstock.domain.batch import Run
from penstock.domain.clock import NS_PER_S
from penstock.domain.request import Timeline
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

    def add_all(self, values: Sequence[int]) -> None:
        """Count values."""
        counts, edges = self.counts, self.edges
        for value in values:
            counts[bisect_left(edges, value)] += 1
        self.total += sum(values)


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

    def add_all(self, times_ns: Sequence[int]) -> None:
        """Count events."""
        self.count += len(times_ns)
        self.ns += sum(times_ns)


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

    def failed(self, ticket: Ticket, status: str) -> None:
        """Count one prediction that ended otherwise than with an answer."""
        self.last_inference_ms = time.time_ns() // 1_000_000
        self._count(ticket, status, 1)
        self.fail.add(ticket.timeline.total_ns)
        self._histograms(ticket.arm)[0].add(ticket.timeline.total_ns)

    def answered(self, tickets: Sequence[Ticket]) -> None:
        """Count the answered predictions of one run, all at once."""
        self.last_inference_ms = time.time_ns() // 1_000_000
        for (arm, _), alike in _grouped(tickets):
            self._count(alike[0], "OK", len(alike))
            self._observe([ticket.timeline for ticket in alike], *self._histograms(arm))

    def _observe(self, times: Sequence[Timeline], total: Histogram, queue: Histogram, compute: Histogram) -> None:
        totals, queues = [each.total_ns for each in times], [each.queue_ns for each in times]
        total.add_all(totals)
        queue.add_all(queues)
        compute.add_all([each.compute_ns for each in times])
        self.success.add_all(totals)
        self.queue.add_all(queues)
        self.compute_input.add_all([each.input_ns for each in times])
        self.compute_infer.add_all([each.infer_ns for each in times])
        self.compute_output.add_all([each.output_ns for each in times])

    def _count(self, ticket: Ticket, status: str, count: int) -> None:
        key = (ticket.arm, ticket.request.protocol, status)
        self.requests[key] = self.requests.get(key, 0) + count

    def _histograms(self, arm: str) -> tuple[Histogram, Histogram, Histogram]:
        if arm not in self.durations:
            self.durations[arm] = (Histogram(), Histogram(), Histogram())
        return self.durations[arm]


def _grouped(tickets: Sequence[Ticket]) -> Iterable[tuple[tuple[str, str], Sequence[Ticket]]]:
    """Return the tickets by arm and protocol; most batches are of one kind."""
    groups: dict[tuple[str, str], list[Ticket]] = {}
    for ticket in tickets:
        groups.setdefault((ticket.arm, ticket.request.protocol), []).append(ticket)
    return groups.items()
