"""Why each of the latest batches started when it did, and how well its time was predicted."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from penstock.batching.actions import Dispatch
from penstock.telemetry.statistics import Histogram

KEPT: Final = 200
"""How many batches are remembered one by one."""
ERROR_BUCKETS_PERCENT: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class BatchRecord(NamedTuple):
    """One batch, as an operator sees it."""

    at_ns: int
    """When it ended, in nanoseconds since 1970."""
    lane: int
    rows: int
    run_rows: int
    """Rows of the run, with those that only fill a size which the device has compiled."""
    length: int
    """What shorter rows were padded to, in elements; 0 where rows are not padded."""
    padding: int
    """Elements that are nobody's; rows where rows are not padded."""
    requests: int
    """Requests in it, or parts of long ones."""
    reason: str
    waited_ns: int
    """How long its first request had waited."""
    expected_ns: int
    actual_ns: int
    """From the decision until the outputs were there."""
    here: bool
    failed: bool


class BatchHistory:
    """The last batches one by one, and all of them in counters. The event loop writes; a scrape reads."""

    def __init__(self) -> None:
        self.reasons: Final[Counter[tuple[str, str]]] = Counter()
        """Batches by reason, and by how they ended: "ok" or "failed"."""
        self.error_percent: Final = Histogram(ERROR_BUCKETS_PERCENT)
        """|actual - expected| / expected of runs that succeeded, in percent."""
        self.run_size = 0
        """Rows of all runs, elements where rows are padded; padding included."""
        self.padding = 0
        """The part of `run_size` that is nobody's."""
        self._largest_bytes = 0
        self._batches: deque[tuple[object, ...]] = deque(maxlen=KEPT)

    def add(self, run: Dispatch, now_ns: int, *, failed: bool) -> None:
        """Note the end of a batch; its jobs are counted, not kept."""
        expected_ns, actual_ns, padding = run.expected_ns, now_ns - run.begins_ns, _padding(run)
        self.reasons[run.reason, "failed" if failed else "ok"] += 1
        self.run_size += run.cost
        self._largest_bytes = max(self._largest_bytes, sum([job.size_bytes for job in run.jobs]))
        self.padding += padding
        if expected_ns and not failed:
            self.error_percent.add(100 * abs(actual_ns - expected_ns) // expected_ns)
        self._batches.append(
            (
                time.time_ns(), run.lane, run.rows, run.run_rows, run.length, padding, len(run.jobs), run.reason, run.waited_ns,
                expected_ns, actual_ns, run.here, failed,
            )
        )  # fmt: skip

    def take_largest(self) -> int:
        """Return the bytes that the largest run since the last call took in."""
        largest, self._largest_bytes = self._largest_bytes, 0
        return largest

    def __iter__(self) -> Iterator[BatchRecord]:
        """Yield the batches, the latest first."""
        return map(BatchRecord._make, reversed(self._batches))


def _padding(run: Dispatch) -> int:
    if run.length:
        return run.cost - sum([job.rows * job.length for job in run.jobs])
    return run.cost // max(1, run.run_rows) * (run.run_rows - run.rows)
