"""What one process notes of its requests."""

from array import array
from collections import Counter

from penstock.bench.client import Failure
from penstock.bench.latency import bucket_us
from penstock.bench.messages import FailureCount, Progress, Report
from penstock.domain.clock import NS_PER_MS, NS_PER_S, NS_PER_US


class Recorder:
    """Counts requests by when they were due, or in a closed loop by when they were answered.

    What falls into the warm-up is counted for the stalls alone. The methods are called once for each request, on the path
    that is measured: they do integers only.
    """

    def __init__(self, start_ns: int, warmup_s: float, duration_s: float, *, closed: bool) -> None:
        self.start_ns = start_ns
        self.measured_ns = start_ns + round(warmup_s * NS_PER_S)
        self.end_ns = start_ns + round((warmup_s + duration_s) * NS_PER_S)
        self._closed = closed
        self._waiting: dict[int, int] = {}
        self._number = 0
        self._due = self._sent = self._succeeded = self._failed = self._finished = 0
        self._latencies: Counter[int] = Counter()
        self._lags: Counter[int] = Counter()
        self._failures: Counter[str] = Counter()
        self._samples: dict[str, str] = {}
        span_ms = (self.end_ns - start_ns) // NS_PER_MS + 1
        self._due_per_ms, self._answered_per_ms = (array("I", bytes(4 * span_ms)) for _ in range(2))

    @property
    def outstanding(self) -> int:
        """Requests under way."""
        return len(self._waiting)

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        return Progress(self._succeeded, self._failed, len(self._waiting))

    def missed(self, due_ns: int) -> None:
        """Count a request that was due and is not sent."""
        self._due += self._is_measured(due_ns)

    def sent(self, due_ns: int, now_ns: int) -> int:
        """Count a request that is sent; returns the number by which `answered` knows it."""
        self._number += 1
        self._waiting[self._number] = due_ns
        if due_ns < self.end_ns:
            self._due_per_ms[(due_ns - self.start_ns) // NS_PER_MS] += 1
        if self._is_measured(due_ns):
            self._due += 1
            self._sent += 1
            self._lags[bucket_us((now_ns - due_ns) // NS_PER_US)] += 1
        return self._number

    def answered(self, number: int, now_ns: int, failure: Failure | None) -> None:
        """Count an answer, or a failure."""
        due_ns = self._waiting.pop(number)
        if now_ns < self.end_ns:
            self._answered_per_ms[(now_ns - self.start_ns) // NS_PER_MS] += 1
        if failure is None and self._is_measured(now_ns):
            self._finished += 1
        if self._is_measured(now_ns if self._closed else due_ns):
            self._count(now_ns - due_ns, failure)

    def unanswered(self, now_ns: int) -> None:
        """Count those who still wait as failures, and the time that they have waited as latency: they took at least that."""
        for due_ns in self._waiting.values():
            if self._closed or self._is_measured(due_ns):
                self._latencies[bucket_us((now_ns - due_ns) // NS_PER_US)] += 1
                self._count(0, Failure("unanswered", "no answer until the run was given up"))

    def report(self, cpu_share: float, waited_share: float) -> Report:
        """Return what has been seen."""
        return Report(
            due=self._due,
            sent=self._sent,
            succeeded=self._succeeded,
            failed=self._failed,
            finished=self._finished,
            latencies_us=dict(self._latencies),
            lags_us=dict(self._lags),
            failures=tuple(FailureCount(kind, count, self._samples[kind]) for kind, count in self._failures.items()),
            due_per_ms=self._due_per_ms.tobytes(),
            answered_per_ms=self._answered_per_ms.tobytes(),
            cpu_share=cpu_share,
            waited_share=waited_share,
        )

    def _is_measured(self, moment_ns: int) -> bool:
        return self.measured_ns <= moment_ns < self.end_ns

    def _count(self, taken_ns: int, failure: Failure | None) -> None:
        if failure is None:
            self._succeeded += 1
            self._latencies[bucket_us(taken_ns // NS_PER_US)] += 1
        else:
            self._failed += 1
            self._failures[failure.kind] += 1
            self._samples.setdefault(failure.kind, failure.sample)
