"""A rollout as a terminal shows it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from penstock.cli.tables import aligned

OVER: Final = frozenset({"PROMOTED", "ROLLED_BACK", "ABORTED", "STOPPED"})


def rollout_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is told of a rollout beside the route of its model: all of one under way, of another one how it ended."""
    lines = [f"rollout of {line}" if number == 0 else line for number, line in enumerate(lines_of(report))]
    yield from lines[:2] if report["phase"] in OVER else lines


def lines_of(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that tell of a rollout, as the admin API reports it."""
    step = report["step"]
    yield f"{report['model']}: version {report['canary']} beside {report['stable']}, {headline(report)}"
    if report["why"]:
        yield f"because: {report['why']}"
    if report["pending"]:
        yield f"not done yet, tried again every second: {report['pending'].replace('_', ' ')}"
    weights = [f"{each['weight']:g} %" for each in report["plan"]["steps"]]
    weights[step["number"] - 1] = f"[{weights[step['number'] - 1]}]"
    yield f"steps: {' -> '.join(weights)}; judged since {_clock(report['judged_since'])}"
    if report["gates"]:
        yield ""
        yield from aligned(("gate", "verdict", "canary", "stable", "evidence"), [_row(gate) for gate in report["gates"]])


def headline(report: Mapping[str, Any]) -> str:
    """Return where a rollout is, in a few words."""
    step, phase = report["step"], report["phase"]
    if phase in OVER:
        return f"{phase} at {_clock(report['changed'])}"
    place = f"{phase} at {step['weight']:g} %, step {step['number']} of {step['of']}"
    if phase == "HOLDING":
        return f"{place}, {step['left_s']:.0f} s left"
    return f"{place}, for {step['waited_s']:.0f} s" if phase == "WAITING" else place


def _row(gate: Mapping[str, Any]) -> tuple[str, ...]:
    if "evidence" not in gate:
        return gate["gate"], gate["finding"], _number(gate.get("value")), _number(gate.get("reference")), ""
    evidence = f"{gate['evidence']:.3g} of {gate['needed']:.0f}"
    return gate["gate"], gate["finding"], _share(gate["canary"]), _share(gate["stable"]) if "stable" in gate else "", evidence


def _share(share: Mapping[str, Any]) -> str:
    if not share["of"]:
        return "no requests"
    return f"{share['bad']}/{share['of']} ({share['low']:.2%} to {share['high']:.2%})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
