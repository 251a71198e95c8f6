"""Why a batch started when it did."""

from collections.abc import Mapping, Sequence

from penstock.batching.actions import Action, Dispatch, Reason
from penstock.batching.job import NEVER_NS, Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler
from penstock.domain.clock import NS_PER_MS

KEY = Key(("Y",))
STEEP = {1: 10, 2: 10, 4: 10, 8: 10, 16: 10}
"""Milliseconds by rows of a model that batches well."""
FLAT = {1: 1, 2: 2, 4: 4, 8: 8, 16: 16}
"""And of one that gains nothing."""


def known(times_ms: Mapping[int, float]) -> LatencyModel:
    """Return what runs take, seen often enough to be relied upon."""
    latency = LatencyModel({rows: int(ms * NS_PER_MS) for rows, ms in times_ms.items()})
    for _ in range(40):
        for rows, ms in times_ms.items():
            latency.observe(rows, int(ms * NS_PER_MS), 0)
    return latency


def scheduler(*kinds: LaneKind, adaptive: bool = True) -> Scheduler:
    """Return a scheduler of runs of up to 16 rows; one lane that knows nothing if no kinds are given."""
    limits = BatchLimits(16, adaptive=adaptive)
    return Scheduler(limits, kinds or [LaneKind(1, LatencyModel())], slo_ns=200 * NS_PER_MS)


def job(rows: int = 1, *, due_ms: float = 200, deadline_ms: float | None = None) -> Job:
    """Return a job."""
    deadline_ns = NEVER_NS if deadline_ms is None else int(deadline_ms * NS_PER_MS)
    return Job({}, rows, KEY, due_ns=int(due_ms * NS_PER_MS), deadline_ns=deadline_ns)


def runs(actions: Sequence[Action]) -> list[Dispatch]:
    """Return the runs among the actions."""
    return [action for action in actions if isinstance(action, Dispatch)]


def only(actions: Sequence[Action]) -> tuple[Reason, int]:
    """Return reason and rows of the only run."""
    (run,) = runs(actions)
    return run.reason, run.rows


def waiting_for_company(due_ms: float) -> tuple[Scheduler, int]:
    """Return a scheduler of two lanes on one device in which a row waits although a lane is free, and the time.

    A row comes each millisecond, and its answer is due in so many.
    """
    lanes = scheduler(LaneKind(2, known(STEEP), independent=False))
    under_way: list[Dispatch] = []
    for now_ns in range(0, 500 * NS_PER_MS, NS_PER_MS):  # until the rate is known
        for run in [run for run in under_way if run.started_ns + 10 * NS_PER_MS <= now_ns]:
            under_way.remove(run)
            lanes.done(run, now_ns)
        assert lanes.arrive([job(due_ms=now_ns / NS_PER_MS + due_ms)], now_ns) is None
        begun = runs(lanes.tick(now_ns))
        under_way += begun
        if len(under_way) == 1 and lanes.backlog.rows == 1 and not begun:
            return lanes, now_ns
        assert {run.reason for run in begun} <= {Reason.IDLE, Reason.FULL}, "nobody was made to wait"
    raise AssertionError("no row ever waited")


def test_full() -> None:
    """As many rows as a run may have."""
    lanes = scheduler()
    lanes.arrive([job(16)], 0)

    assert only(lanes.tick(0)) == (Reason.FULL, 16)


def test_idle() -> None:
    """A lane is free, and nobody else comes."""
    lanes = scheduler()
    lanes.arrive([job()], 0)

    assert only(lanes.tick(0)) == (Reason.IDLE, 1)


def test_gate() -> None:
    """No company has come for so long that more waiting would not pay."""
    lanes, _ = waiting_for_company(due_ms=200)
    wakeup_ns = lanes.next_wakeup_ns
    assert wakeup_ns is not None

    assert only(lanes.tick(wakeup_ns)) == (Reason.GATE, 1)


def test_deadline_ends_a_wait() -> None:
    """The target of the row leaves less time than the usual wait."""
    bound_ms = known(STEEP).bound(2) / NS_PER_MS
    lanes, now_ns = waiting_for_company(due_ms=bound_ms + 0.5)
    wakeup_ns = lanes.next_wakeup_ns
    assert wakeup_ns is not None
    assert wakeup_ns - now_ns < 2 * NS_PER_MS

    assert only(lanes.tick(wakeup_ns)) == (Reason.DEADLINE, 1)


def test_deadline_makes_a_batch_smaller() -> None:
    """One row could not wait for all the others to run with it."""
    lanes = scheduler(LaneKind(1, known(FLAT)), adaptive=False)
    lanes.arrive([job(deadline_ms=2.5)], 0)
    lanes.arrive([job(7)], 0)

    assert only(lanes.tick(0)) == (Reason.DEADLINE, 1)


def test_bucket() -> None:
    """Six rows are cheaper as four and two than padded to eight."""
    lanes = scheduler(LaneKind(1, known(FLAT), independent=False, sizes=(2, 4, 8, 16)), adaptive=False)
    for _ in range(6):
        lanes.arrive([job()], 0)

    assert only(lanes.tick(0)) == (Reason.BUCKET, 4)


def test_spill() -> None:
    """The preferred device is busy for longer than the row can wait."""
    lanes = scheduler(LaneKind(1, known({1: 100})), LaneKind(1, known({1: 10})))
    lanes.arrive([job()], 0)
    assert only(lanes.tick(0)) == (Reason.FULL, 1)
    lanes.arrive([job(due_ms=50)], 0)

    assert only(lanes.tick(0)) == (Reason.SPILL, 1)


def test_rerun() -> None:
    """One of two has made the run fail."""
    lanes = scheduler()
    lanes.arrive([job()], 0)
    lanes.arrive([job()], 0)
    (run,) = runs(lanes.tick(0))
    lanes.failed(run, NS_PER_MS)

    assert only(lanes.tick(NS_PER_MS)) == (Reason.RERUN, 1)


def test_drain() -> None:
    """Nobody waits for company in a version that closes."""
    lanes = scheduler()
    lanes.arrive([job()], 0)
    lanes.close()

    assert only(lanes.tick(0)) == (Reason.DRAIN, 1)
