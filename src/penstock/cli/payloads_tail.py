"""`penstock payloads tail`."""

import contextlib
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import click

from penstock.cli.models_registry import as_json
from penstock.cli.payloads_files import Recorded, with_recorded
from penstock.cli.tables import aligned

_HEADER: Final = ("TIME", "MODEL", "ARM", "STATUS", "MS", "INPUTS", "OUTPUTS")
_SHOWN: Final = 4
Row = dict[str, Any]
_WIDTH: Final = 48


@click.command()
@click.option("-n", "--rows", "most", type=click.IntRange(1, 100_000), default=10, show_default=True, help="How many.")
@as_json
@with_recorded
def tail(recorded: Recorded, most: int, as_json: bool) -> None:
    """Show the latest predictions that were recorded, of MODEL or of all; with --json as lines of JSON.

    \b
    Examples:
      penstock payloads tail fraud
      penstock payloads tail fraud --version 3 -n 100 --json
    """
    rows = latest(recorded, most)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
    elif not rows:
        click.echo("nothing is recorded; models.<name>.payloads.sample = 0.1 records a tenth")
    else:
        for line in aligned(_HEADER, [_cells(row) for row in rows]):
            click.echo(line)


def latest(recorded: Recorded, most: int) -> list[Row]:
    """Return the latest rows, the oldest first; of each file no more than may be among them are read."""
    from penstock.payloads.reading import last_rows  # noqa: PLC0415 - numpy takes a while to import; --help needs none

    found: list[Row] = []
    for path in recorded.all:
        with contextlib.suppress(FileNotFoundError):  # it has been sealed or removed meanwhile
            found = _later([*found, *recorded.there(last_rows(path, most))], most)
    return found


def _later(rows: list[Row], most: int) -> list[Row]:
    return sorted(rows, key=lambda row: str(row["timestamp"]))[-most:]


def _cells(row: Row) -> list[str]:
    model = f"{row['model']}/{row['version'] or '-'}"
    milliseconds = f"{row['total_us'] / 1000:.2f}"
    return [row["timestamp"], model, row["route"], row["status"], milliseconds, _tensors(row["inputs"]), _tensors(row["outputs"])]


def _tensors(cells: list[Row]) -> str:
    text = " ".join(_tensor(cell) for cell in cells)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _tensor(cell: Row) -> str:
    if "b64" in cell:
        return f"{cell['name']}={cell['datatype']}{cell['shape']}"
    values = list(_values(cell["data"]))
    more = ", ..." if len(cell["data"]) > _SHOWN else ""
    return f"{ascii(cell['name'])[1:-1]}=[{', '.join(values)}{more}]"


def _values(data: list[Any]) -> Iterator[str]:
    """Yield the first elements as they may stand on a terminal."""
    for value in islice(data, _SHOWN):
        yield f"{value:.6g}" if isinstance(value, float) else ascii(value)
