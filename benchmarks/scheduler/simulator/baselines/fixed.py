"""Fixed rules: no batching, and a size with a timeout.

Size and timeout is the rule of Ray Serve, LitServe, MLServer, TorchServe, mosec and KServe's agent (their sources, read in the
design's section 1.1). Their bugs are left out. Rows whose time has passed are dropped when their turn comes, as LitServe does.
"""

from typing import Final

from simulator.policy import Queue, Setup
from simulator.row import MS


class Alone(Queue):
    """No batching: every request runs by itself."""

    def ready(self, now_ns: int) -> int:  # noqa: ARG002 - it never waits
        """Return one row: `take` lets a longer request pass alone."""
        return 1 if self.waiting else 0


class SizeAndTimeout(Queue):
    """Runs a batch when it is full, or when its oldest row has waited for the timeout."""

    def __init__(self, setup: Setup, size: int, timeout_ns: int) -> None:
        super().__init__(setup)
        self.max_rows = min(size, setup.curve.max_rows)
        self.timeout_ns: Final = timeout_ns

    def ready(self, now_ns: int) -> int:
        """Return the size if it is there or the oldest row has waited enough."""
        if self.waiting >= self.max_rows:
            return self.max_rows
        head = self.head()
        return self.max_rows if head is not None and now_ns >= head.arrival_ns + self.timeout_ns else 0

    def next_wakeup(self, now_ns: int) -> int | None:  # noqa: ARG002 - due at a fixed instant
        """Wake when the oldest row has waited enough."""
        head = self.head() if self.free else None
        return None if head is None else head.arrival_ns + self.timeout_ns


def grid(slo_ns: int, max_rows: int) -> list[tuple[int, int]]:
    """Return 8 sizes by 8 timeouts: sizes up to the largest, timeouts from none to the whole objective."""
    sizes = sorted({max(1, round(max_rows ** (step / 7))) for step in range(8)} | {max_rows * 3 // 4})[-8:]
    timeouts = [0, MS // 2, slo_ns // 50, slo_ns // 20, slo_ns // 10, slo_ns // 5, slo_ns // 3, slo_ns // 2]
    return [(size, timeout) for size in sizes for timeout in timeouts]
