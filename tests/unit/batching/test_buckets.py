"""Lengths that share a run: buckets, neighbours that join, and a full batch counted in elements."""

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from penstock.batching.actions import Dispatch
from penstock.batching.buckets import bucket_length, worth_joining
from penstock.batching.job import Job, Key
from penstock.batching.lane_kind import LaneKind
from penstock.batching.latency import LatencyModel
from penstock.batching.limits import BatchLimits
from penstock.batching.scheduler import Scheduler
from penstock.domain.clock import NS_PER_MS

ALPHA_NS = NS_PER_MS
MakePadded = Callable[..., Scheduler]


def latency(beta_ns: int, alpha_ns: int = ALPHA_NS) -> LatencyModel:
    """Return a model that has seen runs of `alpha + beta * elements`."""
    return LatencyModel({elements: alpha_ns + beta_ns * elements for elements in (16, 64, 256, 1024, 4096)})


def row(length: int, rows: int = 1) -> Job:
    """Return a job whose rows may be padded."""
    return Job({}, rows, Key(("Y",), (("X", (-1,)),), bucket_length(length)), length=length)


def scheduler(model: LatencyModel, lanes: int = 1, *, sizes: tuple[int, ...] = (), max_rows: int = 64, elements: int = 4096) -> Scheduler:
    """Return a scheduler of a padded model that always takes full batches."""
    limits = BatchLimits(max_rows, max_elements=elements, adaptive=False)
    return Scheduler(limits, [LaneKind(lanes, model, sizes=sizes)], slo_ns=10_000 * NS_PER_MS)


def lengths_of(machine: Scheduler, *jobs: Job) -> list[list[int]]:
    """Return the lengths in each run that starts when the jobs arrive together."""
    for job in jobs:
        assert machine.arrive((job,), 0) is None
    return [[job.length for job in action.jobs] for action in machine.tick(0) if isinstance(action, Dispatch)]


@given(st.integers(1, 10**9))
def test_bucket_holds_its_lengths_and_wastes_less_than_a_fifth(length: int) -> None:
    """A run of one bucket is padding for less than a fifth of it."""
    whole = bucket_length(length)

    assert length <= whole
    assert whole == length or (whole - length) / whole < 0.2
    assert bucket_length(whole) == whole


def test_short_lengths_have_buckets_of_their_own() -> None:
    """A quarter of them is less than an element."""
    assert [bucket_length(length) for length in range(1, 12)] == [1, 2, 3, 4, 5, 6, 7, 8, 10, 10, 12]


@given(rows=st.integers(1, 9), length=st.integers(1, 500), more=st.integers(1, 9), other=st.integers(1, 500), beta=st.integers(1, 100_000))
def test_buckets_join_exactly_where_one_run_ends_sooner(rows: int, length: int, more: int, other: int, beta: int) -> None:
    """L(merged) < L(a) + L(b), which for a line is: the padding costs less than a run's fixed cost."""
    waste = (rows if other > length else more) * abs(other - length) * beta
    if abs(waste - ALPHA_NS) > ALPHA_NS / 20:
        assert worth_joining(rows, length, more, other, latency(beta)) == (waste < ALPHA_NS)


def test_nothing_joins_while_nothing_is_known() -> None:
    """No measurement, no promise."""
    assert not worth_joining(1, 10, 1, 11, LatencyModel())


def test_lengths_of_one_bucket_run_together_and_others_apart() -> None:
    """9 and 10 share a bucket; at this price per element nobody else joins."""
    assert lengths_of(scheduler(latency(beta_ns=10 * ALPHA_NS), lanes=3), row(9), row(50), row(10)) == [[9, 10], [50]]


def test_neighbours_fill_a_run_where_that_ends_both_sooner() -> None:
    """A cheap element joins all; the head stays first and the nearest comes next."""
    assert lengths_of(scheduler(latency(beta_ns=100)), row(30), row(500), row(20), row(31)) == [[30, 31, 20, 500]]


def test_idle_lanes_take_a_bucket_each() -> None:
    """Side by side both end sooner than in one run."""
    assert lengths_of(scheduler(latency(beta_ns=100), lanes=2), row(30), row(50)) == [[30], [50]]


def test_batch_is_full_by_elements() -> None:
    """128 elements are four rows of 32 or one of 128, and one of 300 runs all the same."""
    assert [len(run) for run in lengths_of(scheduler(latency(1), lanes=2, elements=136), *(row(33) for _ in range(8)))] == [4, 4]
    assert [len(run) for run in lengths_of(scheduler(latency(1), lanes=2, elements=136), row(120), row(120))] == [1, 1]
    assert lengths_of(scheduler(latency(1), elements=136), row(300)) == [[300]]


def test_batch_of_short_rows_is_full_by_rows() -> None:
    """`max_batch_rows` holds whatever the length."""
    assert [len(run) for run in lengths_of(scheduler(latency(1), lanes=2, max_rows=3), *(row(1) for _ in range(6)))] == [3, 3]


def test_guests_never_overfill_a_batch() -> None:
    """Rows of 10 that join a row of 100 count as 100 each."""
    (run,) = lengths_of(scheduler(latency(beta_ns=1), elements=3 * bucket_length(100)), row(100), *(row(10) for _ in range(5)))

    assert run == [100, 10, 10]


@pytest.mark.parametrize("jobs", [(row(8, 0), row(9)), (row(9), row(8, 0))], ids=["first", "last"])
def test_job_without_rows_runs_alone(jobs: tuple[Job, ...]) -> None:
    """What a model makes of no rows is nobody else's business."""
    assert len(lengths_of(scheduler(latency(1)), *jobs)[0]) == 1


def test_run_is_learned_and_expected_by_its_elements() -> None:
    """Three rows padded to 10 are 30 elements."""
    model = latency(beta_ns=1000)
    machine = scheduler(model)
    for length in (9, 10, 9):
        machine.arrive((row(length),), 0)
    (run,) = machine.tick(0)

    assert isinstance(run, Dispatch)
    assert (run.rows, run.length, run.cost) == (3, 10, 30)
    assert run.expected_ns == model.expect(30) == pytest.approx(ALPHA_NS + 30_000, rel=0.02)


def test_device_of_few_sizes_gets_few_lengths_but_none_that_it_has_not_run() -> None:
    """A position that no caller has sent may be one that the model does not have."""
    kind = LaneKind(1, latency(1), sizes=(1, 2, 4))

    before = kind.padded(9)
    kind.longest = 10

    assert (before, kind.padded(9), kind.padded(11)) == (9, 10, 11)
    assert LaneKind(1, latency(1)).padded(9) == 9


def test_backlog_counts_rows_and_elements() -> None:
    """Rows for who reads it, elements for the time that they take."""
    machine = scheduler(latency(1))

    machine.arrive((row(9, 2),), 0)

    assert (machine.backlog.rows, machine.backlog.cost) == (2, 20)
