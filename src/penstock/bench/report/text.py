"""A result for a terminal."""

from collections.abc import Iterator, Sequence
from typing import Final

from penstock.bench.arrivals import Closed, Constant, Load, Poisson, Ramp, Recorded
from penstock.bench.result import Change, Comparison, Figures, Result, Sweep, Verdict

UNITS: Final = {"p50_ms": "ms", "p99_ms": "ms", "cpu_us": "us", "rps": "/s"}
_SAMPLE: Final = 120
_STARVED: Final = 0.2

Rows = Sequence[Sequence[str]]


def text(result: Result) -> str:
    """Return the summary of a result."""
    return "\n".join(_lines(result)) + "\n"


def load_in_words(load: Load) -> str:
    """Return what the load was."""
    match load:
        case Constant(rate):
            return f"open loop, {rate:g} requests/s"
        case Poisson(rate):
            return f"open loop, {rate:g} requests/s at random (Poisson)"
        case Ramp(start, end):
            return f"open loop, from {start:g} to {end:g} requests/s"
        case Recorded(offsets_s):
            return f"open loop, {len(offsets_s)} recorded arrivals"
        case Closed(concurrency):
            return f"closed loop, {concurrency} requests under way"


def figure_rows(figures: Figures) -> Rows:
    """Return the figures as rows of a table: name and value."""
    rows = [
        ("requests", f"{figures.requests:,}"),
        ("answers/s", f"{figures.rps:,.1f}"),
        ("errors", f"{figures.error_rate:.3%}"),
        ("sent of those due", f"{figures.rate:.2%}"),
        ("latency p50", milliseconds(figures.p50_ms)),
        ("latency p90", milliseconds(figures.p90_ms)),
        ("latency p99", milliseconds(figures.p99_ms)),
        ("latency p99.9", milliseconds(figures.p999_ms)),
        ("latency max", milliseconds(figures.max_ms)),
        ("sent late, p99", milliseconds(figures.lag_p99_ms)),
    ]
    if figures.cpu_us is not None:
        rows.append(("server CPU/answer", f"{figures.cpu_us:,.1f} us"))
    return rows


def verdict_rows(verdicts: Sequence[Verdict]) -> Rows:
    """Return thresholds as rows: the threshold, what was measured, whether it was kept."""
    return [(one.threshold, measured_in_words(one), "kept" if one.kept else "BROKEN") for one in verdicts]


def measured_in_words(verdict: Verdict) -> str:
    """Return what was measured for a threshold."""
    return "not measured" if verdict.measured is None else f"{verdict.measured:.4g} {verdict.unit}".rstrip()


def change_rows(comparison: Comparison) -> Rows:
    """Return a comparison as rows: figure, baseline, measured, how much worse, interval, verdict."""
    return [_change_row(change) for change in comparison.changes]


def sweep_rows(sweep: Sweep) -> Rows:
    """Return a sweep as rows: rate, answers, p50, p99, errors, verdict."""
    return [
        (
            f"{point.rate:,.0f}/s",
            f"{point.figures.rps:,.0f}/s",
            milliseconds(point.figures.p50_ms),
            milliseconds(point.figures.p99_ms),
            f"{point.figures.error_rate:.2%}",
            "kept" if point.kept else point.why,
        )
        for point in sweep.points
    ]


SWEEP_HEAD: Final = ("rate", "answers", "p50", "p99", "errors", "thresholds")
CHANGE_HEAD: Final = ("figure", "baseline", "measured", "change", "95 % interval", "tolerance", "verdict")
VERDICT_HEAD: Final = ("threshold", "measured", "verdict")


def remarks(result: Result) -> list[str]:
    """Return what a reader should know before believing the figures."""
    found = [f"INVALID: {why}" for why in result.invalid]
    stalls = result.total.stalls
    if stalls.count:
        found.append(f"stalls: {stalls}")
    found += [f"{failure.count} x {failure.kind}: {' '.join(failure.sample.split())[:_SAMPLE]}" for failure in result.total.failures]
    waited = max((generator.waited_share for generator in result.total.generators), default=0.0)
    if waited > _STARVED:
        found.append(f"the generator waited for a core for {waited:.0%} of the time: this machine is busy, and latencies are longer for it")
    return found


def milliseconds(value: float) -> str:
    """Return a latency with three digits."""
    return f"{value:,.2f} ms" if value < 10 else f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"  # noqa: PLR2004 - digits


def aligned(rows: Rows) -> Iterator[str]:
    """Yield the lines of a table whose columns are as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _lines(result: Result) -> Iterator[str]:
    target = result.plan.target
    model = f"{target.model}@{target.version}" if target.version else target.model
    yield f"{model} at {target.url} by {target.protocol}: {load_in_words(result.plan.load)}, {result.total.window_s:g} s measured"
    yield f"on {result.machine}\n"
    yield from aligned(figure_rows(result.figures))
    for head, rows in _tables(result):
        yield ""
        yield from aligned([head, *rows])
    if found := remarks(result):
        yield ""
        yield from found
    if result.sweep is not None:
        yield f"\n{highest_in_words(result.sweep)}"


def highest_in_words(sweep: Sweep) -> str:
    """Return what a sweep has found."""
    if sweep.highest is None:
        return "no rate keeps every threshold"
    return f"the highest rate that keeps every threshold: {sweep.highest:,.0f} requests/s"


def _tables(result: Result) -> Iterator[tuple[Sequence[str], Rows]]:
    if result.verdicts:
        yield VERDICT_HEAD, verdict_rows(result.verdicts)
    if result.comparison is not None:
        yield CHANGE_HEAD, change_rows(result.comparison)
    if result.sweep is not None:
        yield SWEEP_HEAD, sweep_rows(result.sweep)


def _change_row(change: Change) -> tuple[str, ...]:
    unit = UNITS.get(change.figure, "")
    return (
        change.figure,
        f"{change.baseline:.4g} {unit}".rstrip(),
        f"{change.measured:.4g} {unit}".rstrip(),
        _percent(change.ratio),
        f"{_percent(change.low)} to {_percent(change.high)}",
        f"{change.tolerance:.0%}",
        _verdict(change),
    )


def _verdict(change: Change) -> str:
    """Return `unclear` where the interval reaches from well to worse: the rounds scatter too much to tell."""
    unclear = change.low <= 1 + change.tolerance < change.high
    return "WORSE" if change.worse else "unclear" if unclear else "ok"


def _percent(ratio: float) -> str:
    """Return how much worse a ratio is; below zero it is better."""
    return f"{ratio - 1:+.1%}"
