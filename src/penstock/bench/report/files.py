"""Writes a result to files; the suffix says in which form."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from penstock.bench.latency import Latencies
from penstock.bench.report.junit import junit
from penstock.bench.report.markdown import markdown
from penstock.bench.report.plot import html, svg
from penstock.bench.result import Result


def json(result: Result) -> str:
    """Return the whole result as JSON, as `--baseline` reads it."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n"


def hgrm(result: Result) -> str:
    """Return the percentile distribution, as HdrHistogram's plotters read it; in ms."""
    return Latencies(result.total.latencies_us).distribution()


FORMS: Final[Mapping[str, Callable[[Result], str]]] = {
    ".json": json,
    ".xml": junit,
    ".md": markdown,
    ".hgrm": hgrm,
    ".svg": svg,
    ".html": html,
}
"""What is written for each suffix."""


def write(result: Result, path: Path) -> None:
    """Write the result in the form that the path's suffix says, one of `FORMS`."""
    path.write_text(FORMS[path.suffix](result), "utf-8")


def read(path: Path) -> Result:
    """Return the result that was written as JSON. Raises `OSError`, or `ValueError` if it is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is no result of penstock bench: {error}") from error
