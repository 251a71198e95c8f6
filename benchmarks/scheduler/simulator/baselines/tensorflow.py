"""TensorFlow's batch schedulers (tensorflow/core/kernels/batching_util, read in the design's section 1.1).

Both hold a queue of batches. The last is open: rows join it until it is full. When as many batches wait as the queue allows
(`max_enqueued_batches`, default 10), a row is refused with UNAVAILABLE. Neither knows deadlines.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from simulator.policy import Decision, Setup
from simulator.row import MS, WAITING, Row

_MOST_BATCHES: Final = 10
_AVERAGED: Final = 1000
_LARGEST_STEP, _SMALLEST_STEP = 1 / 8, 1 / 128
_INITIAL_LIMIT: Final = 3.0


class Forming:
    """A batch that rows join."""

    __slots__ = ("created_ns", "requests", "rows")

    def __init__(self, created_ns: int) -> None:
        self.created_ns = created_ns
        self.requests: list[Row] = []
        self.rows = 0


class Shared:
    """SharedBatchScheduler: a thread takes the oldest batch once it is full or as old as the timeout, here a tenth of the objective.

    An idle server waits the whole timeout, even with one row.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup: Final = setup
        self.timeout_ns: Final = setup.slo_ns // 10
        self.batches: Final[deque[Forming]] = deque()
        self.free: Final = list(range(setup.curve.lanes - 1, -1, -1))

    def arrive(self, row: Row, now_ns: int) -> bool:
        """Let the row join the open batch, or open one."""
        last = self.batches[-1] if self.batches else None
        if last is None or last.rows + row.rows > self.setup.max_rows:
            if len(self.batches) >= _MOST_BATCHES:
                return False
            last = Forming(now_ns)
            self.batches.append(last)
        last.requests.append(row)
        last.rows += row.rows
        return True

    def cancel(self, row: Row, now_ns: int) -> None:
        """Nothing: it knows no cancellation, and the row runs all the same."""

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: ARG002, FBT001
        """Free the thread. A failed batch fails all its rows."""
        self.free.append(lane)
        return batch if failed else ()

    def tick(self, now_ns: int) -> list[Decision]:
        """Give batches to free threads."""
        decisions: list[Decision] = []
        while self.free and self.batches and self.ripe(self.batches[0], now_ns):
            decisions += self._taken(self.batches.popleft())
        return decisions

    def ripe(self, batch: Forming, now_ns: int) -> bool:
        """Tell whether a batch may run: full, closed because the next row did not fit, or old."""
        return len(self.batches) > 1 or batch.rows >= self.setup.max_rows or now_ns >= batch.created_ns + self.timeout_ns

    def next_wakeup(self, now_ns: int) -> int | None:  # noqa: ARG002 - due at a fixed instant
        """Wake when the open batch is old enough."""
        return self.batches[0].created_ns + self.timeout_ns if self.free and self.batches else None

    def _taken(self, batch: Forming) -> list[Decision]:
        live = [row for row in batch.requests if row.state == WAITING]
        return [(self.free.pop(), live)] if live else []


class Adaptive(Shared):
    """AdaptiveSharedBatchScheduler: runs the oldest batch at once while fewer batches are in flight than a limit.

    The limit is a real number, used by chance; hill climbing moves it by 1/8 to 1/128 of itself, judged by the mean latency of
    1000 batches. That is slow: in short runs it hardly moves.
    """

    def __init__(self, setup: Setup, random: np.random.Generator) -> None:
        super().__init__(setup)
        self._random: Final = random
        self.limit = min(_INITIAL_LIMIT, float(setup.curve.lanes))
        self._created: Final[dict[int, int]] = {}
        self._latencies = self._count = 0
        self._last = float("inf")
        self._step, self._direction = _LARGEST_STEP, 1

    def ripe(self, batch: Forming, now_ns: int) -> bool:  # noqa: ARG002 - age does not matter
        """Tell whether one more may be in flight."""
        room = self.limit - (self.setup.curve.lanes - len(self.free))
        return bool(room >= 1 or (room > 0 and self._random.random() < room))

    def next_wakeup(self, now_ns: int) -> int | None:
        """Try again soon where chance said no."""
        return now_ns + MS if self.free and self.batches else None

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: FBT001
        """Count the batch's latency, from its creation."""
        self._latencies += now_ns - self._created.pop(lane)
        self._count += 1
        if self._count == _AVERAGED:
            self._climb()
        return super().done(lane, batch, now_ns, failed)

    def _taken(self, batch: Forming) -> list[Decision]:
        taken = super()._taken(batch)
        for lane, _ in taken:
            self._created[lane] = batch.created_ns
        return taken

    def _climb(self) -> None:
        mean, self._latencies, self._count = self._latencies / self._count, 0, 0
        if mean < self._last:
            self._step = min(self._step * 2, _LARGEST_STEP)
        else:
            self._direction, self._step = -self._direction, max(self._step / 2, _SMALLEST_STEP)
        self._last = mean
        moved = self.limit * (1 + self._direction * self._step)
        self.limit = min(max(moved, 1.0), float(self.setup.curve.lanes))
