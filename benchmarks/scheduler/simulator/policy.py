"""What a simulated scheduler is, and what the baselines share."""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from simulator.curves import Curve
from simulator.row import WAITING, Row

DROP: Final = -1
"""In place of a lane: these rows are given up."""

BLAME: Final = -2
"""In place of a lane: these rows fail, since a run of one of them alone has failed."""

Decision = tuple[int, list[Row]]


class Policy(Protocol):
    """A scheduler. It learns of time and of completions only through these calls, all made by one simulation."""

    def arrive(self, row: Row, now_ns: int) -> bool:
        """Take a row, or refuse it."""

    def cancel(self, row: Row, now_ns: int) -> None:
        """Hear that a waiting row's caller has gone; its state says so already."""

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: FBT001 - a claim about the run
        """Hear that a lane is free; returns the rows of a failed batch that are given up, all others will run again."""

    def tick(self, now_ns: int) -> Sequence[Decision]:
        """Decide: asked whenever something happened while a lane is free, and when a wake-up is due."""

    def next_wakeup(self, now_ns: int) -> int | None:
        """Say when to be asked again although nothing happens."""


class Setup(NamedTuple):
    """What a policy may know beforehand."""

    curve: Curve
    """The profile, for those whose source says that they have one."""
    rate: float
    """The true mean rate in rows per second: only oracles look."""
    padded: bool = False
    """Whether rows have lengths, and are padded to the longest of their batch."""

    @property
    def slo_ns(self) -> int:
        """The objective."""
        return self.curve.slo_ns

    @property
    def max_rows(self) -> int:
        """The largest batch for policies that know no objective: the best one that keeps it, which favours them."""
        return self.curve.best_rows


class Queue:
    """A first-in-first-out queue in front of lanes: what the baselines start from."""

    drops_expired = True
    """Whether a row whose deadline has passed is given up when its turn comes."""

    def __init__(self, setup: Setup) -> None:
        self.setup: Final = setup
        self.max_rows = setup.max_rows
        self.queue: deque[Row] = deque()
        self.waiting = 0
        """Rows in the queue, without those cancelled."""
        self.free: Final = list(range(setup.curve.lanes - 1, -1, -1))

    def arrive(self, row: Row, now_ns: int) -> bool:  # noqa: ARG002 - others look at the time
        """Queue the row."""
        self.queue.append(row)
        self.waiting += row.rows
        return True

    def cancel(self, row: Row, now_ns: int) -> None:  # noqa: ARG002 - others look at the time
        """Leave the row in the queue as a tombstone."""
        self.waiting -= row.rows

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: ARG002, FBT001
        """Free the lane. A failed batch fails all its rows."""
        self.free.append(lane)
        return batch if failed else ()

    def tick(self, now_ns: int) -> list[Decision]:
        """Run what is ready, lane by lane."""
        decisions: list[Decision] = []
        while self.free:
            rows = self.ready(now_ns)
            if rows <= 0:
                break
            batch, dropped = self.take(rows, now_ns)
            if dropped:
                decisions.append((DROP, dropped))
            if batch:
                decisions.append((self.free.pop(), batch))
            elif not dropped:
                break
        return decisions

    def next_wakeup(self, now_ns: int) -> int | None:  # noqa: ARG002 - others look at the time
        """Nothing happens by itself."""
        return None

    def ready(self, now_ns: int) -> int:  # noqa: ARG002 - others look at the time
        """Return the most rows to run now; 0 is none: as much as there is."""
        return min(self.waiting, self.max_rows)

    def head(self) -> Row | None:
        """Return the row that waits longest."""
        queue = self.queue
        while queue and queue[0].state != WAITING:
            queue.popleft()
        return queue[0] if queue else None

    def take(self, rows: int, now_ns: int) -> tuple[list[Row], list[Row]]:
        """Take up to so many rows off the head; returns them, and those that are too late."""
        batch: list[Row] = []
        dropped: list[Row] = []
        queue, room = self.queue, rows
        while queue and room > 0:
            row = queue[0]
            if row.state == WAITING:
                if row.rows > room and batch:
                    break
                self.waiting -= row.rows
                if self.drops_expired and row.deadline_ns <= now_ns:
                    dropped.append(row)
                else:
                    batch.append(row)
                    room -= row.rows
            queue.popleft()
        return batch, dropped
