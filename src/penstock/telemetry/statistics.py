"""What one model version has done since it was loaded, as plain integers.

The event loop alone writes; a scrape or a statistics call reads. Meanings follow Triton's statistics extension: each request of
a batch is charged the full time of its batch, `inference_count` counts rows, `execution_count` runs.
"""

import time
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from penstock.domain.batch import Run
from penstock.domain.clock import NS_PER_MS, NS_PER_S
from penstock.domain.tensor import Array
from penstock.domain.ticket import Ticket

DURATION_BUCKETS_S: Final[tuple[float, ...]] = (
    0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02,
    0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
_EDGES_NS: Final = tuple([int(edge * NS_PER_S) for edge in DURATION_BUCKETS_S])
_MOST_UNCOUNTED: Final = 1024
_TIMES: Final = 5
"""Of an answer: whole, in the queue, and of its run's input, session and output."""
SPREAD_EDGES_NS: Final = tuple([round(20_000 * 1.1**step) for step in range(146)])
"""From 20 us to 20 s in steps of a tenth: fine enough to compare the tails of two arms."""
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

    def add_all(self, values: Array) -> None:
        """Count the values of a one-dimensional array of integers."""
        found = np.bincount(np.searchsorted(self.edges, values), minlength=len(self.counts))
        self.counts = [before + more for before, more in zip(self.counts, found.tolist(), strict=True)]
        self.total += int(values.sum())

    def plus(self, other: "Histogram") -> "Histogram":
        """Return both together."""
        both = Histogram(self.edges)
        both.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        both.total = self.total + other.total
        return both


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

    def add_all(self, times_ns: Array) -> None:
        """Count events."""
        self.count += len(times_ns)
        self.ns += int(times_ns.sum())


class BatchSizeStatistics:
    """The runs of one batch size."""

    __slots__ = ("count", "infer_ns", "input_ns", "output_ns")

    def __init__(self) -> None:
        self.count = 0
        self.input_ns = 0
        self.infer_ns = 0
        self.output_ns = 0

    def add(self, run: Run) -> None:
        """Count one run."""
        self.count += 1
        self.input_ns += run.input_ns
        self.infer_ns += run.infer_ns
        self.output_ns += run.output_ns


class VersionStatistics:
    """Counters of one loaded version. Read them after `count`: answers are counted many at a time, or when somebody asks."""

    def __init__(self) -> None:
        self.last_inference_ms = 0
        self.success = Duration()
        self.fail = Duration()
        self.queue = Duration()
        self.compute_input = Duration()
        self.compute_infer = Duration()
        self.compute_output = Duration()
        self.batches: dict[int, BatchSizeStatistics] = {}
        """Runs by their rows."""
        self.requests: dict[tuple[str, str, str], int] = {}
        """Predictions by (arm, protocol, status)."""
        self.durations: dict[str, tuple[Histogram, Histogram, Histogram]] = {}
        """Whole request, queue and compute, by arm."""
        self.spread: dict[str, Histogram] = {}
        """Whole request by arm, in finer steps: what a rollout is judged by."""
        self._answered: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        """Answers that are not counted yet, by (arm, protocol): five times of each, one after the other."""
        self._uncounted = 0

    @property
    def execution_count(self) -> int:
        """Successful runs."""
        return sum(batch.count for batch in self.batches.values())

    @property
    def inference_count(self) -> int:
        """Rows of all successful runs."""
        return sum(rows * batch.count for rows, batch in self.batches.items())

    @property
    def batch_rows(self) -> Histogram:
        """Successful runs by their rows."""
        histogram = Histogram(BATCH_BUCKETS)
        for rows, batch in self.batches.items():
            histogram.counts[bisect_left(BATCH_BUCKETS, rows)] += batch.count
            histogram.total += rows * batch.count
        return histogram

    def executed(self, rows: int, run: Run) -> None:
        """Count one successful run."""
        batch = self.batches.get(rows)
        if batch is None:
            batch = self.batches[rows] = BatchSizeStatistics()
        batch.add(run)

    def failed(self, ticket: Ticket, status: str) -> None:
        """Count one prediction that ended otherwise than with an answer."""
        self.last_inference_ms = time.time_ns() // NS_PER_MS
        self._count(ticket.arm, ticket.request.protocol, status, 1)
        self.fail.add(ticket.timeline.total_ns)
        self._histograms(ticket.arm)[0].add(ticket.timeline.total_ns)
        self._spread(ticket.arm).add(ticket.timeline.total_ns)

    def answered(self, tickets: Sequence[Ticket]) -> None:
        """Take the answered predictions of one run."""
        self.last_inference_ms = time.time_ns() // NS_PER_MS
        for ticket in tickets:
            each = ticket.timeline
            times = (each.total_ns, each.queue_ns, each.input_ns, each.infer_ns, each.output_ns)
            self._answered[ticket.arm, ticket.request.protocol].extend(times)
        self._uncounted += len(tickets)
        if self._uncounted >= _MOST_UNCOUNTED:
            self.count()

    def count(self) -> None:
        """Count what has been answered since the last time."""
        for (arm, protocol), times in self._answered.items():
            self._count(arm, protocol, "OK", len(times) // _TIMES)
            self._spread(arm).add_all(self._observe(times, *self._histograms(arm)))
        self._answered.clear()
        self._uncounted = 0

    def _observe(self, times: Sequence[int], total: Histogram, queue: Histogram, compute: Histogram) -> Array:
        """Count answers; returns what the whole requests took."""
        totals: Array
        totals, queues, inputs, infers, outputs = np.frombuffer(array("q", times), np.int64).reshape(-1, _TIMES).T
        total.add_all(totals)
        queue.add_all(queues)
        compute.add_all(inputs + infers + outputs)
        self.success.add_all(totals)
        self.queue.add_all(queues)
        self.compute_input.add_all(inputs)
        self.compute_infer.add_all(infers)
        self.compute_output.add_all(outputs)
        return totals

    def _count(self, arm: str, protocol: str, status: str, count: int) -> None:
        key = (arm, protocol, status)
        self.requests[key] = self.requests.get(key, 0) + count

    def _histograms(self, arm: str) -> tuple[Histogram, Histogram, Histogram]:
        if arm not in self.durations:
            self.durations[arm] = (Histogram(), Histogram(), Histogram())
        return self.durations[arm]

    def _spread(self, arm: str) -> Histogram:
        if arm not in self.spread:
            self.spread[arm] = Histogram(SPREAD_EDGES_NS)
        return self.spread[arm]
