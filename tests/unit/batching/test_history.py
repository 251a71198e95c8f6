"""What is remembered of batches."""

from penstock.batching.actions import Dispatch, Reason
from penstock.batching.history import KEPT, BatchHistory
from penstock.batching.job import Job, Key
from penstock.domain.clock import NS_PER_MS

KEY = Key(("Y",))


def batch(*jobs: Job, reason: Reason = Reason.IDLE, expected_ns: int = NS_PER_MS) -> Dispatch:
    """Return a run of jobs that started at 0."""
    jobs = jobs or (Job({}, 2, KEY),)
    run = Dispatch(0, jobs, sum(job.rows for job in jobs), reason, 0)
    run.expected_ns = expected_ns
    return run


def test_batches_are_counted_by_reason_and_end() -> None:
    """A batch that failed tells nothing about the prediction of times."""
    history = BatchHistory()

    history.add(batch(), 3 * NS_PER_MS // 2, failed=False)
    history.add(batch(reason=Reason.FULL), 9 * NS_PER_MS, failed=True)

    assert history.reasons == {("idle", "ok"): 1, ("full", "failed"): 1}
    assert (sum(history.error_percent.counts), history.error_percent.total) == (1, 50)


def test_batch_without_a_prediction_has_no_error() -> None:
    """Before anything is measured, nothing is predicted."""
    history = BatchHistory()

    history.add(batch(expected_ns=0), NS_PER_MS, failed=False)

    assert sum(history.error_percent.counts) == 0


def test_rows_that_fill_a_compiled_size_are_padding() -> None:
    """Two rows that run as four leave half of the run to nobody."""
    history = BatchHistory()
    run = batch()
    run.run_rows = run.cost = 4

    history.add(run, NS_PER_MS, failed=False)

    assert (history.run_size, history.padding) == (4, 2)


def test_elements_beyond_the_end_of_a_row_are_padding() -> None:
    """A row of 3 and two of 10 run as three of 10; what is filled up beside them counts too."""
    history = BatchHistory()
    run = batch(Job({}, 1, KEY, length=3), Job({}, 2, KEY, length=10))
    run.length, run.run_rows, run.cost = 10, 4, 40

    history.add(run, NS_PER_MS, failed=False)

    assert (history.run_size, history.padding) == (40, 40 - 23)


def test_latest_batches_come_first_and_the_oldest_are_forgotten() -> None:
    """A page shows a bounded number of them; the counters go on."""
    history = BatchHistory()
    for number in range(KEPT + 5):
        history.add(batch(), number, failed=False)

    ends = [record.actual_ns for record in history]

    assert ends == list(range(KEPT + 4, 4, -1))
    assert history.reasons["idle", "ok"] == KEPT + 5
