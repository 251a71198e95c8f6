"""What a run has measured."""

from collections import Counter
from collections.abc import Sequence
from functools import reduce

import msgspec
import numpy as np

from penstock.bench.latency import Latencies
from penstock.bench.machine import Machine
from penstock.bench.messages import FailureCount, Report
from penstock.bench.plan import Plan
from penstock.bench.stalls import Counts, Stalls, find_stalls

_US_PER_S = 1_000_000


class Generator(msgspec.Struct, frozen=True):
    """What one process that asked was busy with."""

    cpu_share: float
    """How much of a core it used."""
    waited_share: float
    """How much of the time it was ready to run and had no core."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in one go, or in several that were added up."""

    window_s: float
    """How long was measured."""
    due: int
    sent: int
    succeeded: int
    failed: int
    finished: int
    """Successful answers that came within the window."""
    latencies_us: dict[int, int]
    """How many there were of each bucket of `bucket_us`, from the moment when a request was due."""
    lags_us: dict[int, int]
    """The same of how late requests were sent."""
    failures: tuple[FailureCount, ...] = ()
    stalls: Stalls = Stalls()
    generators: tuple[Generator, ...] = ()
    server_cpu_s: float | None = None
    """CPU seconds of the server's processes within the window."""
    answered: int = 0
    """Answers of all kinds within the window."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a round."""

    requests: int
    """Answered or failed."""
    rps: float
    """Successful answers per second."""
    error_rate: float
    """The share of requests that failed."""
    rate: float
    """The share of requests that were sent, of those that were due."""
    min_ms: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    lag_p99_ms: float
    """How late requests were sent; it is part of their latency."""
    lag_max_ms: float
    cpu_us: float | None = None
    """CPU time of the server per answer."""


class Verdict(msgspec.Struct, frozen=True):
    """One threshold, and whether it was kept."""

    threshold: str
    measured: float | None
    """None if there is no such figure."""
    unit: str
    kept: bool


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure beside the baseline's."""

    figure: str
    baseline: float
    measured: float
    ratio: float
    """How many times the baseline's; above 1 is worse, also for rates."""
    low: float
    """Where the interval of 95 % begins that the true ratio lies in."""
    high: float
    tolerance: float
    worse: bool
    """Whether all of the interval lies beyond the tolerance, and the difference above the floor."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A run beside its baseline."""

    baseline: str
    interleaved: bool
    rounds: int
    changes: tuple[Change, ...]

    @property
    def worse(self) -> bool:
        """Whether any figure is worse."""
        return any(change.worse for change in self.changes)


class SweepPoint(msgspec.Struct, frozen=True):
    """One rate of a sweep."""

    rate: float
    kept: bool
    figures: Figures
    why: str = ""
    """What was not kept."""


class Sweep(msgspec.Struct, frozen=True):
    """The rates that were tried, in ascending order, and the highest that kept every threshold."""

    points: tuple[SweepPoint, ...]
    highest: float | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a run; written with `--output FILE.json` and read by `--baseline FILE.json`."""

    format: str = "penstock-bench/1"
    penstock: str
    started: str
    machine: Machine
    plan: Plan
    figures: Figures
    histogram: str
    """The latencies of all rounds in microseconds, as HdrHistogram's tools read them (version 2, compressed, base64)."""
    rounds: tuple[Round, ...]
    invalid: tuple[str, ...] = ()
    """Why the figures say nothing about the server."""
    verdicts: tuple[Verdict, ...] = ()
    comparison: Comparison | None = None
    sweep: Sweep | None = None

    @property
    def total(self) -> Round:
        """All rounds added up."""
        return reduce(added, self.rounds)


def round_of(reports: Sequence[Report], plan: Plan, server_cpu_s: float | None) -> Round:
    """Return what all processes have seen together."""
    due, answered = (_per_ms([getattr(report, name) for report in reports]) for name in ("due_per_ms", "answered_per_ms"))
    latencies_us = _summed(*(report.latencies_us for report in reports))
    return Round(
        window_s=plan.duration_s,
        due=sum(report.due for report in reports),
        sent=sum(report.sent for report in reports),
        succeeded=sum(report.succeeded for report in reports),
        failed=sum(report.failed for report in reports),
        finished=sum(report.finished for report in reports),
        latencies_us=latencies_us,
        lags_us=_summed(*(report.lags_us for report in reports)),
        failures=_failures([failure for report in reports for failure in report.failures]),
        stalls=find_stalls(due, answered, Latencies(latencies_us).percentile_ms(50)),
        generators=tuple(Generator(report.cpu_share, report.waited_share) for report in reports),
        server_cpu_s=server_cpu_s,
        answered=int(answered[round(plan.warmup_s * 1000) :].sum()),
    )


def added(one: Round, other: Round) -> Round:
    """Return two rounds of one plan as if they were one."""
    counts = {name: getattr(one, name) + getattr(other, name) for name in _ADDED}
    stalls = Stalls(one.stalls.count + other.stalls.count, max(one.stalls.longest_ms, other.stalls.longest_ms))
    has_cpu = one.server_cpu_s is not None and other.server_cpu_s is not None
    return Round(
        **counts,
        latencies_us=_summed(one.latencies_us, other.latencies_us),
        lags_us=_summed(one.lags_us, other.lags_us),
        failures=_failures([*one.failures, *other.failures]),
        stalls=stalls,
        generators=_busy(one, other),
        server_cpu_s=(one.server_cpu_s or 0) + (other.server_cpu_s or 0) if has_cpu else None,
    )


_ADDED = ("window_s", "due", "sent", "succeeded", "failed", "finished", "answered")


def figures_of(measured: Round) -> Figures:
    """Return the figures of a round."""
    latencies, lags = Latencies(measured.latencies_us), Latencies(measured.lags_us)
    requests = measured.succeeded + measured.failed
    cpu_s = measured.server_cpu_s
    return Figures(
        requests=requests,
        rps=measured.finished / measured.window_s,
        # A run in which nothing at all came back has failed, however few requests it made.
        error_rate=measured.failed / requests if requests else 1.0,
        rate=measured.sent / measured.due if measured.due else 1.0,
        min_ms=latencies.min_ms,
        mean_ms=latencies.mean_ms,
        p50_ms=latencies.percentile_ms(50),
        p90_ms=latencies.percentile_ms(90),
        p95_ms=latencies.percentile_ms(95),
        p99_ms=latencies.percentile_ms(99),
        p999_ms=latencies.percentile_ms(99.9),
        max_ms=latencies.max_ms,
        lag_p99_ms=lags.percentile_ms(99),
        lag_max_ms=lags.max_ms,
        cpu_us=cpu_s * _US_PER_S / measured.answered if cpu_s is not None and measured.answered else None,
    )


def _busy(one: Round, other: Round) -> tuple[Generator, ...]:
    """Return what each process was busy with over both windows."""
    share = one.window_s / (one.window_s + other.window_s)
    return tuple(
        Generator(
            mine.cpu_share * share + theirs.cpu_share * (1 - share),
            mine.waited_share * share + theirs.waited_share * (1 - share),
        )
        for mine, theirs in zip(one.generators, other.generators, strict=True)
    )


def _summed(*counts: dict[int, int]) -> dict[int, int]:
    return dict(sum(map(Counter, counts), Counter()))


def _per_ms(parts: Sequence[bytes]) -> Counts:
    total: Counts = np.sum([np.frombuffer(part, np.uint32) for part in parts], axis=0, dtype=np.uint32)
    return total


def _failures(parts: Sequence[FailureCount]) -> tuple[FailureCount, ...]:
    counts, samples = Counter[str](), {part.kind: part.sample for part in reversed(parts)}
    for part in parts:
        counts[part.kind] += part.count
    return tuple(FailureCount(kind, count, samples[kind]) for kind, count in counts.most_common())
