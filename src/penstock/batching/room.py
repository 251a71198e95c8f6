"""Whether a request may join the queue: it is refused at once if it could not end in time."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from penstock.batching.backlog import Backlog
from penstock.batching.job import Job, Party
from penstock.batching.lane_kind import LaneKind
from penstock.batching.limits import BatchLimits
from penstock.domain.request import NORMAL

_MOST_ROWS: Final = 100_000
_COMFORT_RUNS: Final = 3
_PART_OF_TARGET: Final = (1.0, 0.8, 0.4)
"""How much of the target the queue may use up for a request of each priority: what is refused first is what matters least."""
_PART_OF_BYTES: Final = 0.75
"""How much of a queue's bytes one party may have."""
_QUANTILE: Final = 0.9
_STEP: Final = 0.02
_MOST_DELAY: Final = 4.0


class Shortage(StrEnum):
    """What a request would have needed more of."""

    ROWS = "rows"
    BYTES = "bytes"
    TIME = "time"
    LANES = "lanes"


class Refusal(NamedTuple):
    """Why a request is not taken in, and when to come back."""

    shortage: Shortage
    wait_ns: int


class Room:
    """Predicts when a request would end, from what waits and what runs."""

    def __init__(self, limits: BatchLimits, kinds: Sequence[LaneKind], backlog: Backlog, slo_ns: int) -> None:
        self._limits = limits
        self._kinds = kinds
        self._backlog = backlog
        self._slo_ns = slo_ns
        self._near_ns = _COMFORT_RUNS * slo_ns
        self._delay = 1.0
        """How much longer than predicted requests stayed lately, 90 % of them: lanes that share cores keep each other waiting."""
        self.sure = self._full_batches()
        """What may wait whatever the target, a full batch for each lane: rows if the queue's were set, else their cost."""

    def refresh(self) -> None:
        """Look again at what the lanes take; called after each decision, so that an arrival costs no more than a comparison."""
        self.sure = self._full_batches()

    def refusal(self, jobs: Sequence[Job], now_ns: int, *, overloaded: bool) -> Refusal | None:
        """Return why the jobs of one request may not join, None if all of them may.

        One full batch for each lane may always wait; without a queue, anything may.
        """
        rows = cost = size = 0
        for job in jobs:
            rows += job.rows
            cost += job.cost
            size += job.size_bytes
        backlog, job = self._backlog, jobs[0]
        if job.deadline_ns - now_ns < self._near_ns and (tight := self._tight(job, cost, now_ns)):
            return tight
        if not backlog.jobs:
            return None
        if backlog.size_bytes + size > self._limits.queue_bytes or (job.party is not None and self._hoards(job.party, size)):
            return Refusal(Shortage.BYTES, self._delay_ns(backlog.cost, now_ns))
        if self._fits(rows, cost) or (job.party is not None and self._fits_part(job.party, rows, cost)):
            return None
        return self._beyond(job, cost, now_ns, overloaded=overloaded)

    def ended(self, job: Job, now_ns: int) -> None:
        """Learn from the end of a request whose stay was predicted."""
        predicted_ns = max(1, job.promised_ns - job.queued_ns)
        longer = now_ns - job.queued_ns > self._delay * predicted_ns
        self._delay = min(_MOST_DELAY, max(1.0, self._delay + _STEP * (_QUANTILE if longer else _QUANTILE - 1)))

    def ends_ns(self, ahead: int, cost: int, now_ns: int) -> int:
        """Return when what costs so much is expected to end, if so much is served before it.

        Behind a full batch it runs in a full one itself: others will come by then.
        """
        kind = self._kinds[0]
        full = max(1, kind.budget(self._limits, self._slo_ns))
        own = full if ahead >= full else min(full, ahead + cost)
        return now_ns + self._delay_ns(ahead, now_ns) + max(1, math.ceil(cost / full / kind.count)) * kind.latency.expect(own)

    def _delay_ns(self, ahead: int, now_ns: int) -> int:
        """Return how long it takes until what comes after so much else begins to run; lanes take turns."""
        kind = self._kinds[0]
        full = max(1, kind.budget(self._limits, self._slo_ns))
        lanes = sum([each.count for each in self._kinds])
        crowd = 1 + kind.tenant.elsewhere if kind.tenant else 1
        return kind.free_at(now_ns) - now_ns + ahead // full * kind.latency.expect(full) * crowd // lanes

    def _full_batches(self) -> int:
        if self._limits.queue_rows is not None:
            free = sum(len(kind.free) for kind in self._kinds)
            return self._limits.queue_rows + free * self._limits.max_rows
        return sum([kind.count * kind.budget(self._limits, self._slo_ns) for kind in self._kinds])

    def _fits(self, rows: int, cost: int) -> bool:
        waiting, more = (self._backlog.cost, cost) if self._limits.queue_rows is None else (self._backlog.rows, rows)
        return waiting + more <= self.sure

    def _fits_part(self, party: Party, rows: int, cost: int) -> bool:
        """Tell whether a party, while others wait too, stays within its part: what they have waiting is not its concern."""
        part, due = self._backlog.part_of(party)
        waiting, more = (part.cost, cost) if self._limits.queue_rows is None else (part.rows, rows)
        return due < 1.0 and waiting + more <= max(more, self.sure * due)

    def _hoards(self, party: Party, size: int) -> bool:
        """Tell whether a party would have more of the bytes than leaves something to the next one that comes."""
        part, _ = self._backlog.part_of(party)
        return part.size_bytes > 0 and part.size_bytes + size > _PART_OF_BYTES * self._limits.queue_bytes

    def _ahead(self, job: Job) -> int:
        """Return the cost of what is served before a newcomer, about; of other parties, what is theirs by turns."""
        ahead = self._backlog.ahead(job.priority)
        if job.party is None:
            return ahead
        part, due = self._backlog.part_of(job.party)
        return min(ahead, int(part.cost / due)) if due < 1.0 else ahead

    def _beyond(self, job: Job, cost: int, now_ns: int, *, overloaded: bool) -> Refusal | None:
        """Judge a request that does not fit into the next runs."""
        ahead = self._ahead(job)
        if self._limits.queue_rows is not None or overloaded or ahead + cost > _MOST_ROWS * job.key.length:
            return Refusal(Shortage.ROWS, self._delay_ns(self._backlog.cost, now_ns))
        if self._kinds[0].latency.cold:
            return None  # nobody is refused by a speed that was only guessed
        # A deadline within the target has been looked at already, and the scheduler drops what cannot keep it after all.
        part = 1.0 if job.deadline_ns <= now_ns + self._slo_ns and not job.priority > NORMAL else _PART_OF_TARGET[job.priority]
        job.promised_ns = self.ends_ns(ahead, cost, now_ns)
        late_ns = int(self._delay * (job.promised_ns - now_ns) - self._slo_ns * part)
        return Refusal(Shortage.TIME, late_ns) if late_ns > 0 else None

    def _tight(self, job: Job, cost: int, now_ns: int) -> Refusal | None:
        """Refuse what could not end before its caller's deadline; most are so far away that nobody asks."""
        kind = self._kinds[0]
        if kind.latency.cold or (not self._backlog.jobs and kind.is_doubtful(now_ns)):
            return None
        late_ns = self.ends_ns(self._ahead(job), cost, now_ns) - job.deadline_ns
        return Refusal(Shortage.TIME, late_ns) if late_ns > 0 else None
