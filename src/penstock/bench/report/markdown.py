"""A result for a pull request."""

from collections.abc import Iterator, Sequence

from penstock.bench.report.text import (
    CHANGE_HEAD,
    SWEEP_HEAD,
    VERDICT_HEAD,
    Rows,
    change_rows,
    figure_rows,
    highest_in_words,
    load_in_words,
    remarks,
    sweep_rows,
    verdict_rows,
)
from penstock.bench.result import Result


def markdown(result: Result) -> str:
    """Return the summary of a result in Markdown."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: Result) -> Iterator[str]:
    target = result.plan.target
    yield f"## penstock bench: {target.model}\n"
    yield f"{target.url}, {target.protocol}; {load_in_words(result.plan.load)}; {result.total.window_s:g} s on {result.machine}.\n"
    yield from _table(("figure", "value"), figure_rows(result.figures))
    if result.verdicts:
        yield from _table(VERDICT_HEAD, verdict_rows(result.verdicts))
    if result.comparison is not None:
        yield f"Beside {result.comparison.baseline}:\n"
        yield from _table(CHANGE_HEAD, change_rows(result.comparison))
    if result.sweep is not None:
        yield from _table(SWEEP_HEAD, sweep_rows(result.sweep))
        yield highest_in_words(result.sweep) + "\n"
    yield from (f"- {remark}" for remark in remarks(result))


def _table(head: Sequence[str], rows: Rows) -> Iterator[str]:
    yield from map(_row, [head, ["---"] * len(head), *rows])
    yield ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
