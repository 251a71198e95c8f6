"""The tables of the comparison, in Markdown that can be read in a terminal too."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from harness import ROOT
from peers.catalogue import HTTP_JSON
from peers.models import MODELS
from peers.rounds import Case, Cost, Results

OURS: Final = "Penstock"
_HEAD: Final = ("Over", "Server", "Requests/s per core", "CPU per request, us", "p50, ms", "p99, ms", "Memory, MiB", "Penstock is")
_WANTED: Final = {"mosec": 6.0, "MLServer": 20.0, "KServe's server": 20.0}
"""How many times as many requests/s per core Penstock is to answer: the perceptron of 64 floats over HTTP JSON."""
_LONGEST: Final = 160


def tables(results: Results, models: Iterable[str]) -> str:
    """Return a table for each model, under a heading."""
    medians = results.medians()
    return "\n\n".join(f"## {MODELS[name].what}\n\n{_model_table(results, medians, name)}" for name in models)


def ratios(results: Results) -> str:
    """Return a line for each server that was measured beside Penstock on the perceptron of 64 floats over HTTP JSON."""
    medians = results.medians()
    ours = medians.get(Case("mlp", HTTP_JSON, OURS))
    theirs = {case.server: cost for case, cost in medians.items() if case[:2] == ("mlp", HTTP_JSON) and case.server != OURS}
    return "\n".join(_ratio(ours.per_s / cost.per_s, title) for title, cost in theirs.items()) if ours else ""


def _ratio(ratio: float, title: str) -> str:
    wanted = _WANTED.get(title)
    verdict = "" if wanted is None else f" (wanted: {wanted:.0f}x; {'ok' if ratio >= wanted else 'MISSED'})"
    return f"- {ratio:.1f}x the requests/s per core of {title}{verdict}"


def failures(results: Results) -> str:
    """Return a line for each case that failed."""
    return "\n".join(f"- {case.server}, {case.model}, {case.wire}: {_short(why)}" for case, why in results.failures.items())


def _model_table(results: Results, medians: Mapping[Case, Cost], model: str) -> str:
    cases = [case for case in results.costs if case.model == model]
    wires = dict.fromkeys(case.wire for case in cases)
    rows = [_row(case, medians, medians.get(Case(model, wire, OURS))) for wire in wires for case in cases if case.wire == wire]
    return aligned([_HEAD, *rows])


def _row(case: Case, medians: Mapping[Case, Cost], ours: Cost | None) -> tuple[str, ...]:
    cost = medians.get(case)
    if cost is None:
        return case.wire, case.server, "failed, see below", "", "", "", "", ""
    beside = f"{ours.per_s / cost.per_s:.1f}x" if ours and case.server != OURS else ""
    figures = (f"{cost.per_s:,.0f}", f"{cost.cpu_us:,.0f}", f"{cost.p50_ms:,.2f}", f"{cost.p99_ms:,.2f}", f"{cost.rss_mib:,.0f}")
    return case.wire, case.server, *figures, beside


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first of which is the head, as a table whose columns line up."""
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    ruled = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in ruled)


def _short(text: str) -> str:
    """Return the first and the last line, for a traceback says what it is about in those."""
    lines = [line.strip() for line in text.replace(f"{ROOT}/", "").splitlines() if line.strip()]
    return " … ".join(dict.fromkeys(line[:_LONGEST] for line in (lines[0], lines[-1]))) if lines else "no reason given"
