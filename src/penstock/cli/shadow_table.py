"""What shadows answer, for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from penstock.cli.tables import aligned

_HEADER: Final = (
    "SHADOW",
    "SAMPLE",
    "PRIMARY",
    "VERDICT",
    "REQUESTS",
    "DISAGREE",
    "95 % INTERVAL",
    "NOISE",
    "P50 MS",
    "AGAIN",
    "DROPPED",
    "FAILED",
)
_DROPS: Final = ("busy", "full", "yielded", "not_ready", "drained", "removed")
Report = Mapping[str, Any]


def shadow_lines(shadows: Sequence[Report]) -> Iterator[str]:
    """Yield a table of shadows, a row for each version that they were compared with, and below it what is remarkable."""
    rows = [row for shadow in shadows for row in _rows(shadow)]
    yield from aligned(_HEADER, rows)
    for shadow in shadows:
        yield from _remarks(shadow)


def _rows(shadow: Report) -> Iterator[tuple[str, ...]]:
    name = shadow["version"] if shadow["version"] == shadow["number"] else f"{shadow['version']} ({shadow['number'] or 'not ready'})"
    sample = "gone" if shadow["sample"] is None else f"{100 * shadow['sample']:g} %"
    dropped, failed = sum(shadow["ends"].get(end, 0) for end in _DROPS), shadow["failed"]["count"]
    for comparison in shadow["comparisons"] or [None]:
        yield name, sample, *(_compared(comparison) if comparison else ("-",) * 8), str(dropped), str(failed)


def _compared(comparison: Report) -> tuple[str, ...]:
    share, noise, latency = comparison["disagreements"], comparison["noise"], comparison["latency_s"]
    return (
        comparison["primary"],
        comparison["verdict"],
        str(comparison["requests"]),
        _percent(share["rate"]),
        f"{_percent(share['low'])} to {_percent(share['high'])}",
        f"{noise['requests']}, {_percent(noise['beyond']['rate'])}",
        _median_ms(latency["shadow"]),
        _median_ms(latency["primary_again"]),
    )


def _remarks(shadow: Report) -> Iterator[str]:
    name = shadow["version"]
    if shadow["last_error"]:
        yield f"{name}: last error: {shadow['last_error']}"
    for comparison in shadow["comparisons"]:
        beside = f"{name} beside {comparison['primary']}"
        differ = {measure: share for measure, share in comparison["measures"].items() if share["count"]}
        if differ:
            yield f"{beside} differs by " + ", ".join(f"{measure} ({_percent(share['rate'])})" for measure, share in differ.items())
        for example in comparison["examples"]:
            yield f"{beside}: {_example(example)}"


def _example(example: Report) -> str:
    where = f" at {example['element']}" if example["element"] else ""
    what = {
        "value": f"differs by {example['difference']:.3g}{where}, {example['outside']} elements outside",
        "nan": f"is no number{where} on one side, {example['outside']} elements",
        "exact": f"is not equal{where}, {example['outside']} elements",
    }.get(example["kind"], f"is {example['primary'] or 'missing'}, and {example['shadow'] or 'missing'} in the shadow")
    return f"request {example['request_id']}, output {example['output']} {what}"


def _median_ms(times: Report | None) -> str:
    return "-" if times is None else f"{1000 * times['p50']:.3g}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.3g} %"
