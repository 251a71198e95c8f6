"""The scheduler that Penstock ships, as a policy: the same object that the server runs, with the simulation's clock.

Its latency model starts from a warm-up of the sizes 1, 2, 4, 8 and so on, measured without noise and never drifted; all else is
learned during the run. It is told the objective and the largest batch of the model, and nothing of workload or load.
"""

from collections.abc import Sequence
from typing import Final

from penstock.batching.actions import Action, Blame, Check, Dispatch, Expire, Lost, Reason
from penstock.batching.buckets import bucket_length
from penstock.batching.job import Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler
from penstock.batching.share import DeviceShare, Tenant
from simulator.curves import MEAN_LENGTH, Curve
from simulator.policy import BLAME, DROP, Decision, Setup
from simulator.row import NEVER, Row

_STRETCH: Final = (0.5, 1.0, 3.0)
"""By how much of the objective each priority's answer may be late in the order of service, as in batching/work.py."""
_ALIKE: Final = Key(())


class RowJob(Job):
    """A job that knows its row."""

    __slots__ = ("row",)

    def __init__(self, row: Row) -> None:
        budget_ns = int((row.due_ns - row.arrival_ns) * _STRETCH[row.priority])
        due_ns = min(row.arrival_ns + budget_ns, row.deadline_ns)
        key = Key((), (("input", (-1,)),), bucket_length(row.length)) if row.length else _ALIKE
        super().__init__({}, row.rows, key, length=row.length, due_ns=due_ns, deadline_ns=row.deadline_ns, priority=row.priority)
        self.row: Final = row


class Shipped:
    """One model version's scheduler."""

    def __init__(self, setup: Setup, tenant: Tenant | None = None) -> None:
        curve, unit = setup.curve, MEAN_LENGTH if setup.padded else 1
        kind = LaneKind(curve.lanes, LatencyModel(warmed_up(curve, unit)), independent=not curve.shared)
        kind.tenant = tenant
        limits = BatchLimits(curve.max_rows, max_elements=unit * curve.max_rows if setup.padded else None)
        self.scheduler: Final = Scheduler(limits, [kind], slo_ns=curve.slo_ns)
        self.errors: Final[list[tuple[int, float]]] = []
        """Of each run, when it ended and |actual - expected| / expected."""
        self.reruns = 0
        """Runs that served to find who poisoned a batch."""
        self.reasons: Final[dict[str, int]] = {}
        """Batches by why they started when they did."""
        self._running: Final[dict[int, Dispatch]] = {}
        self._leaving: Final[dict[int, RowJob]] = {}

    def arrive(self, row: Row, now_ns: int) -> bool:
        """Offer the row as a job."""
        job = RowJob(row)
        if self.scheduler.arrive((job,), now_ns) is not None:
            return False
        if row.cancel_ns != NEVER:
            self._leaving[row.number] = job
        return True

    def cancel(self, row: Row, now_ns: int) -> None:  # noqa: ARG002 - the scheduler does not ask
        """Cancel the row's job."""
        self.scheduler.cancel(self._leaving.pop(row.number))

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: ARG002, FBT001
        """Report the run; who is to blame for a failure shows at the next tick."""
        run = self._running.pop(lane)
        if failed:
            self.scheduler.failed(run, now_ns)
            return ()
        if run.expected_ns:
            self.errors.append((now_ns, abs(now_ns - run.started_ns - run.expected_ns) / run.expected_ns))
        self.scheduler.done(run, now_ns)
        return ()

    def tick(self, now_ns: int) -> list[Decision]:
        """Translate what the scheduler wants."""
        return [self._decision(action) for action in self.scheduler.tick(now_ns)]

    def next_wakeup(self, now_ns: int) -> int | None:  # noqa: ARG002 - the scheduler does not ask
        """Wake when the scheduler wants it."""
        return self.scheduler.next_wakeup_ns

    def _decision(self, action: Action) -> Decision:
        match action:
            case Dispatch():
                return self._started(action)
            case Expire(job=job):
                return DROP, [_row(job)]
            case Blame(job=job) | Lost(job=job):
                return BLAME, [_row(job)]
            case Check():
                raise AssertionError("this scheduler has no stored input to check lanes with")

    def _started(self, run: Dispatch) -> Decision:
        self._running[run.lane] = run
        self.reruns += run.reason is Reason.RERUN
        self.reasons[run.reason] = self.reasons.get(run.reason, 0) + 1
        return run.lane, [_row(job) for job in run.jobs]


class ShippedModels:
    """Schedulers of several versions that share a device, one run at a time."""

    def __init__(self, setup: Setup) -> None:
        self._setup: Final = setup
        self._share: Final = DeviceShare(setup.curve.lanes)
        self._versions: Final[dict[int, Shipped]] = {}
        self._awake: Final[dict[int, None]] = {}

    def arrive(self, row: Row, now_ns: int) -> bool:
        """Offer the row to its model's scheduler."""
        model = row.model
        if model not in self._versions:
            self._versions[model] = Shipped(self._setup, self._share.join(lambda: self._awake.setdefault(model)))
        self._awake[model] = None
        return self._versions[model].arrive(row, now_ns)

    def cancel(self, row: Row, now_ns: int) -> None:
        """Tell the model's scheduler."""
        self._versions[row.model].cancel(row, now_ns)

    def done(self, lane: int, batch: list[Row], now_ns: int, failed: bool) -> Sequence[Row]:  # noqa: FBT001
        """Tell the model's scheduler."""
        self._awake[batch[0].model] = None
        return self._versions[batch[0].model].done(lane, batch, now_ns, failed)

    def tick(self, now_ns: int) -> list[Decision]:
        """Ask the schedulers that something has happened to."""
        decisions: list[Decision] = []
        for model, version in self._versions.items():
            wake = version.next_wakeup(now_ns)
            if wake is not None and wake <= now_ns:
                self._awake[model] = None
        while self._awake:
            model = next(iter(self._awake))
            del self._awake[model]
            decisions += self._versions[model].tick(now_ns)
        return decisions

    def next_wakeup(self, now_ns: int) -> int | None:
        """Wake when the first of them wants it."""
        wakes = [wake for version in self._versions.values() if (wake := version.next_wakeup(now_ns)) is not None]
        return min(wakes, default=None)


def warmed_up(curve: Curve, unit: int) -> dict[int, int]:
    """Return what a warm-up measures, by elements: the sizes 1, 2, 4 and so on, and the largest, of rows of that length."""
    sizes = {1 << power for power in range(curve.max_rows.bit_length())} | {curve.max_rows}
    return {size * unit: curve.table[size] for size in sorted(sizes)}


def _row(job: Job) -> Row:
    assert isinstance(job, RowJob), "all jobs are made here"
    return job.row
