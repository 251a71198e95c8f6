"""The run itself: arrivals, completions, cancellations and timers in the order of time, and of sequence where times are equal."""

import heapq
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from simulator.device import Device
from simulator.policy import DROP, Policy
from simulator.row import ANSWERED, CANCELLED, DROPPED, FAILED, NEVER, REFUSED, RUNNING, WAITING, Row

_Event = tuple[int, int, Callable[..., None], tuple[object, ...]]

Batch = tuple[int, int, int, int]
"""Start and length in nanoseconds, rows, and how many of them were answered in time."""


class Simulation:
    """One policy, one device, one trace."""

    def __init__(self, policy: Policy, device: Device, rows: Sequence[Row], *, most_losses: int = NEVER) -> None:
        self.policy: Final = policy
        self.device: Final = device
        self.rows: Final = list(rows)
        self.batches: Final[list[Batch]] = []
        self.log: list[tuple[object, ...]] | None = None
        """If it is a list: every decision, for those who compare runs."""
        self.losses = 0
        """Rows that were not answered in time; a run ends early when they are more than asked for."""
        self.finished: Callable[[Row, int], None] | None = None
        """Called when a request has an outcome: closed-loop clients then ask again."""
        self.now_ns = 0
        self._most_losses: Final = most_losses
        self._events: Final[list[_Event]] = []
        self._sequence: Final = count()
        self._wake_ns = NEVER

    @property
    def stopped(self) -> bool:
        """Whether the run ended early, for its losses."""
        return self.losses > self._most_losses

    def at(self, time_ns: int, what: Callable[..., None], *arguments: object) -> None:
        """Let something happen later."""
        heapq.heappush(self._events, (time_ns, next(self._sequence), what, arguments))

    def run(self) -> "Simulation":
        """Run until nothing is left to happen."""
        rows, events = self.rows, self._events
        place, last = 0, len(rows)
        while self.losses <= self._most_losses:
            arrival = rows[place].arrival_ns if place < last else NEVER
            event = events[0][0] if events else NEVER
            now = min(arrival, event, self._wake_ns)
            if now == NEVER:
                break
            self.now_ns = now
            if event == now:
                _, _, what, arguments = heapq.heappop(events)
                what(*arguments)
            elif self._wake_ns == now:
                self._tick(now)
            else:
                self.arrive(rows[place])
                place += 1
        return self

    def arrive(self, row: Row) -> None:
        """Let a row arrive now."""
        now = self.now_ns
        if not self.policy.arrive(row, now):
            row.state = REFUSED
            self._lost(row)
            return
        if row.cancel_ns != NEVER:
            self.at(row.cancel_ns, self._cancel, row)
        if self.device.idle:
            self._tick(now)

    def _tick(self, now: int) -> None:
        for lane, batch in self.policy.tick(now):
            if lane >= 0:
                self._start(lane, batch, now)
            else:
                self._give_up(batch, DROPPED if lane == DROP else FAILED)
        wake = self.policy.next_wakeup(now)
        self._wake_ns = NEVER if wake is None else max(wake, now + 1)

    def _start(self, lane: int, batch: list[Row], now: int) -> None:
        done_ns, taken_ns = self.device.start(batch, now)
        poisoned = False
        for row in batch:
            row.state = RUNNING
            row.start_ns = now
            poisoned = poisoned or row.poison
        if self.log is not None:
            self.log.append((now, lane, [row.number for row in batch]))
        self.at(done_ns, self._done, lane, batch, now, taken_ns, poisoned)

    def _give_up(self, rows: list[Row], state: int) -> None:
        for row in rows:
            row.state = state
            self._lost(row)
        if self.log is not None:
            self.log.append((self.now_ns, -state, [row.number for row in rows]))

    def _done(self, lane: int, batch: list[Row], start_ns: int, taken_ns: int, poisoned: bool) -> None:  # noqa: FBT001 - an event's fields
        now = self.now_ns
        self.device.finish()
        given_up = self.policy.done(lane, batch, now, poisoned)
        rows, good = self._failed(batch, given_up) if poisoned else self._answered(batch, now)
        self.batches.append((start_ns, taken_ns, rows, good))
        self._tick(now)

    def _answered(self, batch: list[Row], now: int) -> tuple[int, int]:
        rows = good = 0
        for row in batch:
            rows += row.rows
            row.finish_ns = now
            if row.state == RUNNING:
                row.state = ANSWERED
                if now <= row.due_ns:
                    good += row.rows
                else:
                    self.losses += row.rows
                if self.finished is not None:
                    self.finished(row, now)
        return rows, good

    def _failed(self, batch: list[Row], given_up: Sequence[Row]) -> tuple[int, int]:
        for row in batch:
            if row.state == RUNNING:
                row.state = WAITING
        self._give_up([row for row in given_up if row.state == WAITING], FAILED)
        return sum(row.rows for row in batch), 0

    def _cancel(self, row: Row) -> None:
        if row.state == WAITING:
            row.state = CANCELLED
            self.policy.cancel(row, self.now_ns)
        elif row.state == RUNNING:
            row.state = CANCELLED

    def _lost(self, row: Row) -> None:
        self.losses += row.rows
        if self.finished is not None:
            self.finished(row, self.now_ns)
