"""`penstock tune`."""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import click

from penstock.cli.models_registry import leave
from penstock.cli.options import USAGE, Number, wanted_model, with_settings
from penstock.cli.tables import aligned
from penstock.config.load import Loaded
from penstock.config.settings import WantedModel

if TYPE_CHECKING:
    from penstock.execution.sweep import Cell
    from penstock.lifecycle.plan import Choice
    from penstock.lifecycle.tuner import Subject, Tuner

_NS_PER_MS = 1e6
_MOST = 1_000_000_000


class _Result(NamedTuple):
    """What was measured, and what follows from it."""

    subject: "Subject"
    cells: Sequence["Cell"]
    choice: "Choice"
    seconds: float
    file: Path | None
    """Where the plan was written."""


def _model(_ctx: click.Context, _param: click.Parameter, text: str) -> WantedModel:
    return wanted_model(text)


def _shapes(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    return dict(map(_shape, texts))


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, dims = text.rpartition("=")
    if not name or not all(dim.isascii() and dim.isdigit() and 0 < int(dim) < _MOST for dim in dims.split(",")):
        raise click.BadParameter(f"{text!r} is no shape; write NAME=D1,D2")
    return name, tuple(map(int, dims.split(",")))


@click.command()
@click.argument("model", metavar="MODEL", callback=_model)
@click.option(
    "--seconds",
    type=Number(0.5, 55),
    default=30,
    show_default=True,
    help="How long is measured; less tells small differences from noise less well.",
)
@click.option(
    "--shape",
    "shapes",
    metavar="NAME=D1,D2",
    callback=_shapes,
    multiple=True,
    help="The shape of a row of an input whose schema leaves dimensions free. May be repeated.",
)
@click.option("--write/--dry-run", default=True, show_default=True, help="Whether the plan is kept for penstock serve, or only shown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_settings
def tune(loaded: Loaded, model: WantedModel, *, seconds: float, shapes: dict[str, tuple[int, ...]], write: bool, as_json: bool) -> None:
    """Measure how a model runs best on this machine, and make that the plan.

    MODEL is NAME or NAME@REF, with a version or an alias. Runs it in several ways, with more lanes or with more threads
    for each run and with growing batches, prints rows per second and the median time of a run, and chooses: the
    highest rate whose runs keep slo_ms; what is better by less than 3 % is not worth leaving the default for.

    The plan is kept in server.state_dir. penstock serve follows it from the next load of that version on, in lanes,
    threads, batching and max_batch_rows, each only where nothing else sets it; a changed model, machine or ONNX Runtime
    ends it. Measure while nothing else runs.

    \b
    Exit codes: 0 done; 1 the model cannot be loaded or measured; 2 a mistake in usage or settings, or a directory
    that cannot be used.

    \b
    Examples:
      penstock tune digits --registry ./registry
      penstock tune digits@challenger --seconds 10 --dry-run --json
      penstock tune encoder --shape tokens=128 --set models.encoder.slo_ms=50
    """
    # ONNX Runtime takes most of a second to import; --help does not need it.
    from penstock.domain.errors import PenstockError  # noqa: PLC0415 - see above
    from penstock.registry.source import RegistryUnreachable  # noqa: PLC0415 - see above
    from penstock.server import tuner  # noqa: PLC0415 - see above

    try:
        maker = tuner(loaded.settings)
        result = _measure(maker, maker.find(*model, shapes), seconds, write=write)
    except RegistryUnreachable as error:
        leave(str(error), USAGE)
    except PenstockError as error:
        leave(error.message, 1)
    click.echo(_json(result) if as_json else "\n".join(_lines(result)))


def _measure(tuner: "Tuner", subject: "Subject", seconds: float, *, write: bool) -> _Result:
    from penstock.lifecycle.tuner import choice_of  # noqa: PLC0415 - as above

    started = monotonic()
    cells = _watched(tuner, subject, seconds)
    taken = monotonic() - started
    if not cells:
        leave(f"{subject.version} is too slow to be measured in {seconds:g} s; try a larger --seconds", 1)
    choice = choice_of(subject, cells)
    return _Result(subject, cells, choice, taken, _keep(tuner, subject, choice) if write else None)


def _watched(tuner: "Tuner", subject: "Subject", seconds: float) -> list["Cell"]:
    """Measure, with a bar on stderr that follows the clock if that is a terminal."""
    from penstock.execution.sweep import best_rounds  # noqa: PLC0415 - as above

    cells, started, ticks = [], monotonic(), 100
    bar = click.progressbar(length=ticks, label=f"measuring {subject.version}", file=sys.stderr, item_show_func=_shown)
    with bar, contextlib.closing(tuner.sweep(subject, seconds)) as sweep:
        for cell in sweep:
            cells.append(cell)
            done = min(ticks, int(ticks * (monotonic() - started) / seconds))
            bar.update(done - bar.pos, cell)
        bar.update(ticks - bar.pos)
    return best_rounds(cells)


def _shown(cell: "Cell | None") -> str:
    return f"lanes x threads {cell.layout}, {cell.rows} rows" if cell else ""


def _keep(tuner: "Tuner", subject: "Subject", choice: "Choice") -> Path:
    try:
        return tuner.keep(subject, choice)
    except OSError as error:
        leave(f"the plan cannot be kept: {error.strerror}: {error.filename}; set server.state_dir, or say --dry-run", USAGE)


def _lines(result: _Result) -> Iterator[str]:
    subject, choice, known = result.subject, result.choice, result.subject.conditions
    yield f"{subject.version} on {known.device} ({known.hardware}, {known.cores} cores), measured for {result.seconds:.0f} s"
    yield ""
    yield from _table(result.cells)
    yield ""
    plan = ", ".join(f"{key} = {value}" for key, value in _plan(choice).items())
    yield f"plan     {plan}"
    yield f"promise  {choice.rows_per_s:,.0f} rows/s in runs of {choice.knee_rows} rows that take {choice.p50_ns / _NS_PER_MS:.3f} ms"
    yield f"default  {choice.default_rows_per_s:,.0f} rows/s with {subject.simplest} (lanes x threads)"
    yield f"written  {result.file}" if result.file else "written  nothing"


def _table(cells: Sequence["Cell"]) -> Iterator[str]:
    """Yield a table with a line for each size and two columns for each layout."""
    layouts, sizes = list(dict.fromkeys(cell.layout for cell in cells)), sorted({cell.rows for cell in cells})
    found = {(cell.layout, cell.rows): cell for cell in cells}
    header = ["ROWS", *(title for layout in layouts for title in (f"{layout}: ROWS/S", "P50 MS"))]
    rows = [[str(size), *(text for layout in layouts for text in _figures(found.get((layout, size))))] for size in sizes]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    yield from aligned(header, [[cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows])


def _figures(cell: "Cell | None") -> tuple[str, str]:
    return (f"{cell.rows_per_s:,.0f}", f"{cell.p50_ns / _NS_PER_MS:.3f}") if cell else ("-", "-")


def _plan(choice: "Choice") -> dict[str, object]:
    return {key: getattr(choice.plan, key) for key in ("lanes", "threads", "batching", "max_batch_rows")}


def _json(result: _Result) -> str:
    subject, choice, known = result.subject, result.choice, result.subject.conditions
    answer = {
        "model": known.model,
        "version": subject.version.version,
        "digest": known.digest,
        "device": known.device,
        "hardware": known.hardware,
        "cores": known.cores,
        "seconds": round(result.seconds, 3),
        "cells": [_cell(cell) for cell in result.cells],
        "plan": _plan(choice),
        "knee_rows": choice.knee_rows,
        "rows_per_s": round(choice.rows_per_s, 1),
        "p50_us": choice.p50_ns / 1000,
        "default": {**subject.simplest._asdict(), "rows_per_s": round(choice.default_rows_per_s, 1)},
        "written": str(result.file) if result.file else None,
    }
    return json.dumps(answer, indent=2)


def _cell(cell: "Cell") -> dict[str, object]:
    figures = {"rows_per_s": round(cell.rows_per_s, 1), "p50_us": cell.p50_ns / 1000, "runs": cell.runs}
    return {**cell.layout._asdict(), "rows": cell.rows, **figures}
