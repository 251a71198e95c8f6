"""Jobs without tickets and schedulers without lanes, for tests of what only decides."""

from collections.abc import Callable, Mapping

import pytest

from penstock.batching.job import Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler
from penstock.domain.clock import NS_PER_MS

MakeJob = Callable[..., Job]
MakeScheduler = Callable[..., Scheduler]
LIMITS = BatchLimits(max_rows=4, queue_rows=8, queue_bytes=1000)


@pytest.fixture
def make_job() -> MakeJob:
    """Return a function that makes a job of so many rows."""

    def make(rows: int = 1, key: str = "Y", **fields: int) -> Job:
        return Job({}, rows, Key((key,)), **fields)

    return make


@pytest.fixture
def make_scheduler() -> MakeScheduler:
    """Return a function that makes a scheduler of one kind of lanes, which knows nothing of the model's speed unless told."""

    def make(
        limits: BatchLimits = LIMITS,
        lanes: int = 1,
        *,
        times_ns: Mapping[int, int] | None = None,
        slo_ns: int = 100 * NS_PER_MS,
        can_check: bool = False,
        independent: bool = True,
        warm: bool = True,
    ) -> Scheduler:
        latency = LatencyModel(times_ns)
        for _ in range(8 if warm and times_ns else 0):
            for rows, ns in (times_ns or {}).items():
                latency.observe(rows, ns, 0)
        return Scheduler(limits, [LaneKind(lanes, latency, independent=independent)], slo_ns=slo_ns, can_check=can_check)

    return make
