"""BentoML's CorkDispatcher (bentoml/BentoML, src/bentoml/_internal/marshal/dispatcher.py), read in the design's section 1.1.

It corks while `n * (age of the newest + 1 ms + a) <= 0.95 * mean wait`, with `duration = a * n + b` fitted by plain least squares
to the last 50 batches every 5 s. It takes the newest rows first, and cancels its head with 503 if the prediction passes
`max_latency`, here the objective. The fit is numpy's minimum-norm answer, with a window of equal sizes too.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from simulator.policy import DROP, Decision, Queue, Setup
from simulator.row import MS, WAITING, Row

_TICK_NS: Final = MS
_DECAY: Final = 0.95
_WINDOW: Final = 50
_REFRESH_NS: Final = 5_000 * MS
_FIRST_WAIT_NS: Final = 10 * MS
_FIRST_ROW_NS: Final = 2 * MS


class Cork(Queue):
    """The dispatcher."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.per_row_ns, self.fixed_ns = float(_FIRST_ROW_NS), float(MS)
        self.wait_ns = float(_FIRST_WAIT_NS)
        self._seen: Final[deque[tuple[int, int, int]]] = deque(maxlen=_WINDOW)
        self._started: Final[dict[int, tuple[int, int]]] = {}
        self._refresh_ns = _REFRESH_NS

    def tick(self, now_ns: int) -> list[Decision]:
        """Cancel heads, then release or stay corked."""
        decisions: list[Decision] = []
        dropped = self._hopeless(now_ns)
        if dropped:
            decisions.append((DROP, dropped))
        while self.free and self.waiting and not self._corked(now_ns):
            decisions.append((self.free[-1], self._newest(now_ns)))
            self.free.pop()
        return decisions

    def next_wakeup(self, now_ns: int) -> int | None:
        """Poll every millisecond."""
        return now_ns + _TICK_NS if self.free and self.waiting else None

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: FBT001
        """Remember the batch, and fit every 5 s."""
        start_ns, wait_ns = self._started.pop(lane)
        self._seen.append((len(batch), now_ns - start_ns, wait_ns))
        if now_ns >= self._refresh_ns:
            self._refresh_ns = now_ns + _REFRESH_NS
            self._fit()
        return super().done(lane, batch, now_ns, failed)

    def _hopeless(self, now_ns: int) -> list[Row]:
        dropped: list[Row] = []
        while (head := self.head()) is not None:
            waited = now_ns - head.arrival_ns
            alone = self.waiting <= head.rows
            if waited + (0 if alone else self.per_row_ns * self.waiting + self.fixed_ns) < self.setup.slo_ns:
                break
            self.queue.popleft()
            self.waiting -= head.rows
            dropped.append(head)
        return dropped

    def _corked(self, now_ns: int) -> bool:
        while self.queue[-1].state != WAITING:
            self.queue.pop()
        newest = now_ns - self.queue[-1].arrival_ns
        return self.waiting * (newest + _TICK_NS + self.per_row_ns) <= self.wait_ns * _DECAY

    def _newest(self, now_ns: int) -> list[Row]:
        batch: list[Row] = []
        room = self.max_rows
        while self.queue and room > 0:
            row = self.queue[-1]
            if row.state == WAITING:
                if row.rows > room and batch:
                    break
                batch.append(row)
                room -= row.rows
                self.waiting -= row.rows
            self.queue.pop()
        self._started[self.free[-1]] = (now_ns, now_ns - batch[-1].arrival_ns)
        return batch

    def _fit(self) -> None:
        sizes, durations, waits = np.array(self._seen, dtype=float).T
        fitted, *_ = np.linalg.lstsq(np.vstack([sizes, np.ones(len(sizes))]).T, durations, rcond=None)
        self.per_row_ns, self.fixed_ns = max(0.0, float(fitted[0])), max(0.0, float(fitted[1]))
        self.wait_ns = float(waits.mean())
