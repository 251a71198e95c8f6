"""How many rows of a line should run now, and why not more."""

import math
from typing import Final

from penstock.batching.actions import Reason
from penstock.batching.arrivals import ArrivalRate
from penstock.batching.courtesy import Courtesy
from penstock.batching.job import NEVER_NS, Job
from penstock.batching.lane_kind import LaneKind
from penstock.batching.limits import BatchLimits
from penstock.batching.line import Line
from penstock.batching.waiting_rules import worth_splitting, worth_waiting
from penstock.domain.clock import NS_PER_MS

_MOST_WAIT_NS: Final = 5 * NS_PER_MS
_WAIT_PART: Final = 10
_SILENCE: Final = 2
"""Mean gaps without an arrival after which their estimate is stale and nobody waits on it."""


class Sizing:
    """Lets a batch go when it is full, and a smaller one when waiting does not pay."""

    def __init__(self, limits: BatchLimits, slo_ns: int, courtesy: Courtesy) -> None:
        self.rate: Final = ArrivalRate()
        self.closing = False
        """Whether the version drains."""
        self.wake_ns = NEVER_NS
        """When a line that waits for company has to be looked at again."""
        self._limits = limits
        self._slo_ns = slo_ns
        self._courtesy = courtesy
        self._most_wait_ns = min(_MOST_WAIT_NS, slo_ns // _WAIT_PART)

    def spilled(self, head: Job, kind: LaneKind, now_ns: int) -> tuple[int, Reason]:
        """Return how many rows another device than the preferred one can end before the first of them is due."""
        full = kind.cap(self._limits, self._slo_ns, head.key.length)
        return max(1, kind.speed(head.key.length).rows_within(head.due_ns - now_ns, full)), Reason.SPILL

    def wanted(self, line: Line, head: Job, kind: LaneKind, now_ns: int) -> tuple[int, Reason]:
        """Return how many rows should run now and why; 0 rows to wait for more."""
        full = most = kind.cap(self._limits, self._slo_ns, head.key.length)
        if now_ns < self._courtesy.queues.quiet_until_ns and self._limits.adaptive:
            full = self._courtesy.rows(kind, full, head.key.length)
        held, line.held = line.held, False
        if not self._limits.together:
            return full, Reason.FULL
        if line.rows >= full:
            return kind.full_batch(full, head.key.length) if full == most else full, Reason.FULL
        if self.closing:
            return full, Reason.DRAIN
        if kind.independent:
            return self._part(line.rows, head.key.length, kind, full, now_ns), Reason.IDLE
        line.held = self._waits(line, head, kind, now_ns)
        reason = _end_of_wait(line, head, kind, now_ns) if held and not line.held else Reason.IDLE
        return 0 if line.held else full, reason

    def _part(self, rows: int, length: int, kind: LaneKind, full: int, now_ns: int) -> int:
        """Return the rows of one lane's part, where idle lanes with cores of their own end a short queue sooner together."""
        lanes = len(kind.free)
        if lanes < 2 or rows < 2 or kind.latency.cold or kind.place.is_here(rows * length):  # noqa: PLR2004 - one cannot be divided
            return full
        if worth_splitting(rows, lanes, self.rate.gap_ns(now_ns), kind.speed(length), full):
            return math.ceil(rows / lanes)
        return full

    def _waits(self, line: Line, head: Job, kind: LaneKind, now_ns: int) -> bool:
        """Tell whether a line should wait for company; sets the alarm if so."""
        elsewhere = kind.tenant.elsewhere if kind.tenant else 0
        if (kind.count == 1 and not elsewhere) or kind.latency.cold:
            return False
        gap_ns, speed = self.rate.gap_ns(now_ns), kind.speed(head.key.length)
        latest_ns = min(
            head.due_ns - speed.bound(line.rows + 1),
            head.queued_ns + self._most_wait_ns,
            self.rate.last_ns + int(_SILENCE * gap_ns),
        )
        if now_ns >= latest_ns or not worth_waiting(line.rows, gap_ns, speed, elsewhere):
            return False
        self.wake_ns = min(self.wake_ns, latest_ns)
        return True


def _end_of_wait(line: Line, head: Job, kind: LaneKind, now_ns: int) -> Reason:
    """Return why a line that was held does not wait any longer."""
    tight = now_ns >= head.due_ns - kind.speed(head.key.length).bound(line.rows + 1)
    return Reason.DEADLINE if tight else Reason.GATE
