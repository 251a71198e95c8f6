"""What is counted of which request."""

from penstock.bench.client import Failure
from penstock.bench.recorder import Recorder

SECOND = 1_000_000_000
MS = 1_000_000


def test_open_loop_counts_by_when_a_request_was_due() -> None:
    """The warm-up is left out; an answer after the end still counts for its request, but not for the rate of answers."""
    recorder = Recorder(0, warmup_s=1.0, duration_s=1.0, closed=False)
    for due_ns, taken_ns in ((SECOND // 2, MS), (SECOND, 3 * MS), (2 * SECOND - MS, 5 * MS)):
        recorder.answered(recorder.sent(due_ns, due_ns), due_ns + taken_ns, None)

    report = recorder.report(0, 0)

    assert (report.due, report.sent, report.succeeded, report.finished) == (2, 2, 2, 1)
    assert set(report.latencies_us) == {3000, 5000 >> 2 << 2}


def test_closed_loop_counts_by_when_a_request_was_answered() -> None:
    """As wrk does: a request of the warm-up that is answered in the window counts, one answered after it does not."""
    recorder = Recorder(0, warmup_s=1.0, duration_s=1.0, closed=True)
    for due_ns, taken_ns in ((SECOND - MS, 2 * MS), (2 * SECOND - MS, 2 * MS)):
        recorder.answered(recorder.sent(due_ns, due_ns), due_ns + taken_ns, None)

    assert recorder.report(0, 0).succeeded == 1


def test_latency_counts_from_the_moment_a_request_was_due() -> None:
    """A request that the generator sent 4 ms late waited those 4 ms too, and the lag is told apart."""
    recorder = Recorder(0, warmup_s=0.0, duration_s=1.0, closed=False)

    recorder.answered(recorder.sent(0, 4 * MS), 6 * MS, None)

    report = recorder.report(0, 0)
    assert report.latencies_us == {6000 >> 2 << 2: 1}
    assert report.lags_us == {4000 >> 1 << 1: 1}


def test_missed_and_failed_requests_are_told_apart() -> None:
    """What was not sent was due; what failed has no latency; the first message of a kind is kept."""
    recorder = Recorder(0, warmup_s=0.0, duration_s=1.0, closed=False)
    recorder.missed(MS)
    for sample in ("first", "second"):
        recorder.answered(recorder.sent(MS, MS), 2 * MS, Failure("HTTP 500", sample))

    report = recorder.report(0, 0)

    assert (report.due, report.sent, report.failed, report.latencies_us) == (3, 2, 2, {})
    assert [(one.kind, one.count, one.sample) for one in report.failures] == [("HTTP 500", 2, "first")]


def test_requests_that_were_never_answered_took_at_least_as_long_as_was_waited() -> None:
    """They fail, and are in the percentiles with the time waited, so that a hanging server is not a fast one."""
    recorder = Recorder(0, warmup_s=0.0, duration_s=1.0, closed=False)
    recorder.sent(0, 0)

    recorder.unanswered(2 * SECOND)

    report = recorder.report(0, 0)
    assert report.failed == 1
    assert min(report.latencies_us) > 1_990_000
