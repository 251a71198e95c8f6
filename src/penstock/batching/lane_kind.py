"""The lanes of one device, and what is known of its speed."""

from collections.abc import Sequence
from typing import Final

from penstock.batching.actions import Dispatch
from penstock.batching.buckets import bucket_length
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.place import RunPlace
from penstock.batching.share import Tenant
from penstock.batching.speed import LengthSpeed, Speed
from penstock.domain.batch import Run
from penstock.domain.clock import NS_PER_S

NO_LIMIT: Final = 1 << 62
_RECENT: Final = 0.2
_TRY_EVERY: Final = 50
_CLEARLY: Final = 1.03
_PART_OF_TARGET: Final = 0.45
_DOUBT_NS: Final = NS_PER_S
_DOUBT_RUNS: Final = 10


class LaneKind:
    """Lanes that are alike. A version that runs on several devices has one kind for each."""

    def __init__(
        self,
        count: int,
        latency: LatencyModel,
        *,
        independent: bool = True,
        sizes: Sequence[int] = (),
        staged: bool = False,
        place: RunPlace | None = None,
    ) -> None:
        """`sizes` are the batch sizes that the device has compiled, ascending; empty where any will do."""
        self.count: Final = count
        self.latency: Final = latency
        self.independent: Final = independent
        """Whether each lane has cores of its own; lanes that share a device never divide a queue between them."""
        self.sizes: Final = tuple(sizes)
        self.staged: Final = staged
        """Whether the last lane only puts the next batch together while another runs."""
        self.place: Final = place or RunPlace(0, {})
        self.tenant: Tenant | None = None
        """The claim on a device that other versions use too."""
        self.free: list[int] = []
        """Numbers of the lanes that run nothing."""
        self.running: dict[int, Dispatch] = {}
        self.ended_ns = 0
        """When the latest run ended."""
        self.took_ns = 0
        """What it took."""
        self.memory_rows = NO_LIMIT
        """The most rows that the device's memory has been seen to hold; elements where rows are padded."""
        self.longest = 0
        """The longest rows that have run."""
        self.prepare_ns = 0.0
        """Mean time that a batch takes to be put together, on a kind that is `staged`."""
        self._full_batches = 0
        self._most = 1
        self._cap = 0
        self._cap_edition = -1

    def speed(self, length: int) -> Speed:
        """Return what runs of rows of that length take."""
        return self.latency if length == 1 else LengthSpeed(self.latency, length)

    def cap(self, limits: BatchLimits, slo_ns: int, length: int = 1) -> int:
        """Return the rows of a full batch: the knee of the curve, what the target allows, and what memory holds, but one at least."""
        return max(1, min(limits.max_rows, self.budget(limits, slo_ns) // length))

    def budget(self, limits: BatchLimits, slo_ns: int) -> int:
        """Return the elements of a full batch; its rows where nothing is padded."""
        if self._cap_edition != self.latency.edition:
            self._cap_edition = self.latency.edition
            self._cap = self._settled(limits, slo_ns)
        return min(self._cap, self.memory_rows)

    def ran(self, dispatch: Dispatch, run: Run) -> None:
        """Learn how long a batch took to be put together, and whether such a one belongs on the event loop."""
        self.prepare_ns += _RECENT * (run.input_ns - self.prepare_ns)
        self.longest = max(self.longest, dispatch.length)
        if dispatch.here:
            self.place.ran_here(dispatch.cost, run)
        else:
            self.place.ran_there(dispatch.cost, run)

    def full_batch(self, full: int, length: int) -> int:
        """Return the rows of a batch that is to be full; now and then twice as many, since what never runs is never known to be better."""
        self._full_batches += 1
        return full if self._full_batches % _TRY_EVERY else max(full, min(2 * full, self._most // length))

    def free_at(self, now_ns: int) -> int:
        """Return when a lane is expected to be free."""
        return now_ns if self.free else self.next_end(now_ns)

    def next_end(self, now_ns: int) -> int:
        """Return when the first run under way is expected to end; now, if none is."""
        return max(now_ns, min([run.begins_ns + run.expected_ns for run in self.running.values()], default=now_ns))

    def is_doubtful(self, now_ns: int) -> bool:
        """Tell whether nothing has run for so long that whoever seems too slow is to be tried.

        Else a speed by which everybody would be late, for machines recover, would never be measured again. A tenth of the time at most.
        """
        return not self.running and now_ns - self.ended_ns >= max(_DOUBT_NS, _DOUBT_RUNS * self.took_ns)

    def padded(self, length: int) -> int:
        """Return the length to which a run of rows up to that length is padded.

        A device that has compiled few sizes gets few lengths too, those of the buckets; but none longer than what it has run, for a
        model may know no position beyond its callers' longest.
        """
        whole = bucket_length(length) if self.sizes else length
        return whole if whole <= self.longest else length

    def fitting(self, rows: int, length: int = 1) -> tuple[int, int]:
        """Return how many of so many rows to take, and the size to run them in.

        Between two sizes of the device the cheaper for each row wins: fewer rows in the smaller, or all of them padded up to the larger.
        """
        if not self.sizes:
            return rows, rows
        up = next((size for size in self.sizes if size >= rows), rows)
        down = max((size for size in self.sizes if size <= rows), default=up)
        speed = self.speed(length)
        if up == down or speed.expect(down) * rows >= speed.expect(up) * down:
            return rows, up
        return down, down

    def _settled(self, limits: BatchLimits, slo_ns: int) -> int:
        most = self._most = limits.max_elements or limits.max_rows
        if not limits.together:
            return 1
        if not limits.adaptive or not self.latency.known:
            return most
        # A full batch for each lane may always wait, so the last row of it sits through the rest of a run and then its own: two runs,
        # with a tenth to spare. By what is expected, not by its bound: on a busy machine smaller batches would make all later still.
        self._most = max(1, self.latency.rows_within(_PART_OF_TARGET * slo_ns, most))
        return self._steady(min(self.latency.best_rows(most), self._most))

    def _steady(self, full: int) -> int:
        """Return the full batch of before, unless another is clearly better: the curve is redrawn often, and is never without noise."""
        before, expect = self._cap, self.latency.expect
        if before > self._most or full * expect(before) > _CLEARLY * before * expect(full):
            return full
        return before or full
