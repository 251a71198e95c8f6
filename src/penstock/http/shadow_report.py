"""What shadows answer beside others, as `/admin/models/{model}/shadows` tells of it."""

from collections import Counter
from collections.abc import Iterable

import msgspec
import numpy as np

from penstock.domain.clock import NS_PER_S
from penstock.inference.shadow import Shadows
from penstock.inference.shadow_queue import ShadowEnd, ShadowQueue
from penstock.telemetry.access_log import WITHHELD
from penstock.traffic.bins import Bins
from penstock.traffic.comparison import Comparison, Side
from penstock.traffic.examples import Example
from penstock.traffic.interval import Interval, wilson
from penstock.traffic.tally import OutputTally


class Rate(msgspec.Struct, kw_only=True):
    """A share that was counted, and where it lies with 95 % confidence."""

    count: int
    of: int
    rate: float | None
    """None of nothing."""
    low: float
    high: float


class Spread(msgspec.Struct, kw_only=True):
    """Where values lie; quantiles are up to 19 % too high, for they are edges of bins."""

    mean: float
    p50: float
    p99: float
    max: float


class OutputReport(msgspec.Struct, kw_only=True):
    """One output."""

    name: str
    requests: int
    """Requests in which both versions gave it in the same datatype and shape; of none, what follows is None."""
    elements: int
    outside: Rate
    """Elements that differ by more than is tolerated."""
    mean_difference: float | None
    """Of all elements; one that is no finite number in one answer adds nothing."""
    difference: Spread | None
    """The largest absolute difference in each request."""
    relative: Spread | None
    """The largest relative difference in each request."""
    nan_primary: int
    nan_shadow: int
    misfits: dict[str, int]
    """Requests in which it could not be compared, by why."""
    flipped: Rate | None
    """Rows in which another class has the highest score; None for an output without class scores."""
    topk_overlap: float | None
    """Mean part of the best few classes that is the same."""
    distance: Spread | None
    """Jensen-Shannon distances of rows that are distributions."""


class LatencyReport(msgspec.Struct, kw_only=True):
    """Seconds that runs took, each request charged the full time of its run; None while there are none."""

    primary: Spread | None
    """The runs that answered callers."""
    shadow: Spread | None
    primary_again: Spread | None
    """The primary's runs in the shadow's conditions, which is what to compare with."""


class ExampleReport(msgspec.Struct, kw_only=True):
    """One of the worst differences."""

    request_id: str
    output: str
    kind: str
    primary: str
    """Datatype and shape."""
    shadow: str
    score: float | None
    """The difference in parts of what is tolerated; None where no number says how far."""
    element: list[int]
    difference: float
    outside: int
    values: dict[str, object] | None


class NoiseReport(msgspec.Struct, kw_only=True):
    """How far the primary differs from itself."""

    requests: int
    floor: float
    """Its largest difference in parts of what is tolerated, 1 at least: only what is larger is a disagreement of the shadow's."""
    beyond: Rate
    """Requests in which it differs from itself in other ways."""


class ComparisonReport(msgspec.Struct, kw_only=True):
    """A shadow beside one primary."""

    primary: str
    primary_digest: str
    shadow: str
    shadow_digest: str
    verdict: str
    requests: int
    disagreements: Rate
    """Requests in which the shadow differs by more than is tolerated, and by more than the primary does from itself."""
    beyond_noise: list[float]
    """How much larger that share is than the primary's own: from and to, with 95 % confidence."""
    noise: NoiseReport
    measures: dict[str, Rate]
    """Requests that differ, by measure."""
    noise_measures: dict[str, Rate]
    outputs: list[OutputReport]
    latency_s: LatencyReport
    waited_s: Spread | None
    examples: list[ExampleReport]


class ShadowReport(msgspec.Struct, kw_only=True):
    """One shadow."""

    version: str
    """As the route names it."""
    sample: float | None
    """None for a shadow that the route does not have any more."""
    number: str
    """The version that this was last; "" before any was ready."""
    sampled: int
    waiting: int
    held_bytes: int
    busy_s: float
    """Time of a thread that it took."""
    ends: dict[str, int]
    failed: Rate
    """Requests that the shadow refused, failed at or did not end in time, of those that it was asked."""
    last_error: str
    hangs_since: float | None
    """When a run began, in seconds since the epoch, that was told to end and has not."""
    comparisons: list[ComparisonReport]


class ModelShadows(msgspec.Struct, kw_only=True):
    """The shadows of a model, those of its route first."""

    name: str
    shadows: list[ShadowReport]


def shadows_of(shadows: Shadows, model: str, *, redacted: bool = False) -> object:
    """Return what is known of a model's shadows, ready to be written as JSON; of a model that is `redacted` without any values."""
    books, samples = shadows.books, shadows.samples(model)
    reports = [_shadow(queue, samples[queue.reference]) for queue in books.present(model)]
    reports += [_shadow(queue, None) for queue in books.past(model)]  # also where the route has named the version again
    for report in reports if redacted else ():
        _withhold(report)
    return msgspec.to_builtins(ModelShadows(name=model, shadows=reports))


def _shadow(queue: ShadowQueue, sample: float | None) -> ShadowReport:
    ends: Counter[str] = Counter()
    for (_, end), count in queue.ends.items():
        ends[str(end)] += count
    return ShadowReport(
        version=queue.reference,
        sample=sample,
        number=queue.number,
        sampled=queue.sampled,
        waiting=len(queue),
        held_bytes=queue.size_bytes,
        busy_s=round(queue.device_ns.total() / NS_PER_S, 3),
        ends=dict(ends),
        failed=_failed(ends),
        last_error=queue.last_error,
        hangs_since=queue.hangs_since,
        comparisons=[_comparison(comparison) for comparison in reversed(queue.comparisons)],
    )


def _withhold(report: ShadowReport) -> None:
    """Take out what may quote inputs or answers."""
    report.last_error = report.last_error and WITHHELD
    for comparison in report.comparisons:
        for example in comparison.examples:
            example.values = None


def _failed(ends: Counter[str]) -> Rate:
    failed = sum(ends[end] for end in (ShadowEnd.REFUSED, ShadowEnd.FAILED, ShadowEnd.TIMEOUT))
    return _rate(failed, failed + ends[ShadowEnd.COMPARED])


def _comparison(comparison: Comparison) -> ComparisonReport:
    beside, noise = comparison.beside, comparison.noise
    with beside.lock, noise.lock:
        return ComparisonReport(
            primary=comparison.primary.version,
            primary_digest=comparison.primary.digest,
            shadow=comparison.shadow.version,
            shadow_digest=comparison.shadow.digest,
            verdict=str(comparison.verdict),
            requests=beside.tally.requests,
            disagreements=_rate(comparison.disagreements, beside.tally.requests),
            beyond_noise=list(_rounded(comparison.beyond_noise)),
            noise=_noise(comparison),
            measures=_measures(beside),
            noise_measures=_measures(noise),
            outputs=[_output(name, tally) for name, tally in beside.tally.outputs.items()],
            latency_s=_latency(beside, noise),
            waited_s=_spread(beside.latency.queue),
            examples=_examples(beside.examples or ()),
        )


def _noise(comparison: Comparison) -> NoiseReport:
    requests = comparison.noise.tally.requests
    return NoiseReport(requests=requests, floor=comparison.floor, beyond=_rate(comparison.noisy, requests))


def _measures(side: Side) -> dict[str, Rate]:
    compared, mismatched, _ = side.tally.counts
    return {str(measure): _rate(mismatched[measure], count) for measure, count in compared.items()}


def _latency(beside: Side, noise: Side) -> LatencyReport:
    primary, shadow, again = map(_spread, (beside.latency.primary, beside.latency.shadow, noise.latency.shadow))
    return LatencyReport(primary=primary, shadow=shadow, primary_again=again)


def _output(name: str, tally: OutputTally) -> OutputReport:
    return OutputReport(
        name=name,
        requests=tally.requests,
        elements=tally.elements,
        outside=_rate(tally.outside, tally.elements),
        mean_difference=tally.total / tally.elements if tally.elements else None,
        difference=_spread(tally.largest),
        relative=_spread(tally.relative),
        nan_primary=tally.nan_primary,
        nan_shadow=tally.nan_shadow,
        misfits={str(kind): count for kind, count in tally.misfits.items()},
        flipped=_rate(tally.flipped, tally.rows) if tally.rows else None,
        topk_overlap=round(tally.overlap.mean, 6) if len(tally.overlap) else None,
        distance=_spread(tally.distance),
    )


def _examples(examples: Iterable[Example]) -> list[ExampleReport]:
    return [
        ExampleReport(
            request_id=one.request_id,
            output=one.output,
            kind=str(one.kind),
            primary=one.primary,
            shadow=one.shadow,
            score=one.score if np.isfinite(one.score) else None,
            element=list(one.element),
            difference=one.difference,
            outside=one.outside,
            values=dict(one.values) if one.values is not None else None,
        )
        for one in examples
    ]


def _rate(count: int, of: int) -> Rate:
    low, high = _rounded(wilson(count, of))
    return Rate(count=count, of=of, rate=round(count / of, 8) if of else None, low=low, high=high)


def _rounded(interval: Interval) -> Interval:
    return Interval(round(interval.low, 8), round(interval.high, 8))


def _spread(bins: Bins) -> Spread | None:
    """Return where values lie, None of nothing."""
    if not len(bins):
        return None
    return Spread(mean=bins.mean, p50=bins.quantile(0.5), p99=bins.quantile(0.99), max=bins.largest)
