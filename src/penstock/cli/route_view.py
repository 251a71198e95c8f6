"""A route as a terminal shows it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from penstock.cli.tables import aligned

_Report = Mapping[str, Any]
_HEADER: Final = ("ARM", "VERSION", "WEIGHT", "REQUESTS", "ERRORS", "P50", "P99")


def route_lines(report: _Report, elapsed_s: float | None = None) -> Iterator[str]:
    """Yield the lines that tell of a model's route, as the admin API reports it; rates where the figures are those of an interval."""
    told = report["route"]
    if told is None:
        yield f"{report['name']}: no route; the champion, else the highest version, answers"
        return
    route = told["route"]
    state = "in force" if told["in_force"] else "waiting until all its versions are ready"
    yield f"{report['name']}: route of revision {told['revision']}, by {told['origin']}, {state}"
    yield from _rules(route)
    yield from aligned(_HEADER, [_row(arm, told["duration_bounds_s"], elapsed_s) for arm in told["arms"]])
    for shadow in route["shadows"]:
        yield f"shadow: version {shadow['version']} is asked {100 * shadow['sample']:g} % too"


def since(before: _Report, report: _Report) -> dict[str, Any]:
    """Return the report with the figures of what has happened since the one before; of a version loaded meanwhile, all."""
    told = report["route"]
    if told is None or before["route"] is None:
        return dict(report)
    then = {(arm["name"], arm["number"]): arm for arm in before["route"]["arms"]}
    arms = [_since(then.get((arm["name"], arm["number"])), arm) for arm in told["arms"]]
    return {**report, "route": {**told, "arms": arms}}


def quantile_s(counts: Sequence[int], bounds_s: Sequence[float], share: float) -> float | None:
    """Return about which time a share of all stayed below, by straight lines within buckets; None where nothing was counted.

    What is longer than all bounds counts as the last of them.
    """
    total = sum(counts)
    if not total:
        return None
    target = share * total
    for number, seen in enumerate(accumulate(counts)):
        if seen >= target and counts[number]:
            break
    if number == len(bounds_s):
        return bounds_s[-1]
    low = bounds_s[number - 1] if number else 0.0
    return low + (bounds_s[number] - low) * (1 - (seen - target) / counts[number])


def _since(before: _Report | None, arm: _Report) -> dict[str, Any]:
    if before is None or before["requests"] > arm["requests"]:
        return dict(arm)
    counted = {key: arm[key] - before[key] for key in ("requests", "errors")}
    durations = [now - then for now, then in zip(arm["durations"], before["durations"], strict=True)]
    return {**arm, **counted, "durations": durations}


def _rules(route: _Report) -> Iterator[str]:
    for place, name in (route["sticky"] or {}).items():
        if name:
            yield f"callers keep their arm by the {place} {name}"
    if route["override"]:
        yield "callers may choose an arm with penstock-route"


def _row(arm: _Report, bounds_s: Sequence[float], elapsed_s: float | None) -> tuple[str, ...]:
    requests = str(arm["requests"]) if elapsed_s is None else f"{arm['requests'] / elapsed_s:.1f}/s"
    errors = f"{100 * arm['errors'] / arm['requests']:.2f} %" if arm["requests"] else "-"
    times = (_ms(quantile_s(arm["durations"], bounds_s, share)) for share in (0.5, 0.99))
    return arm["name"], _version(arm), f"{arm['weight']:g} %", requests, errors, *times


def _version(arm: _Report) -> str:
    name = arm["number"] if arm["version"] == arm["number"] else f"{arm['number'] or '?'} ({arm['version']})"
    return name if arm["ready"] else f"{name}, not ready"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.3g} ms"
