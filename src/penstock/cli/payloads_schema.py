"""`penstock payloads schema`."""

from typing import Final

import click

from penstock.cli.models_registry import as_json, say
from penstock.cli.payloads_files import Recorded, with_recorded
from penstock.cli.tables import aligned

_HEADER: Final = ("MODEL", "VERSION", "NAME", "ROLE", "TYPE", "DATATYPE", "SHAPE", "ROWS")


@click.command()
@as_json
@with_recorded
def schema(recorded: Recorded, as_json: bool) -> None:
    """Tell which tensors are recorded, of MODEL or of all: name, role, type, datatype, and shape, -1 where rows differ.

    It is read from the rows, so that it holds for files of any age, and for what redaction leaves of a tensor.

    \b
    Examples:
      penstock payloads schema fraud
      penstock payloads schema fraud --version 3 --json
    """
    from penstock.payloads.outline import outlines  # noqa: PLC0415 - numpy takes a while to import; --help needs none

    found = outlines(recorded.rows())
    if as_json:
        say([one._asdict() for one in found])
    elif not found:
        click.echo("no tensors are recorded; models.<name>.payloads.sample = 0.1 records a tenth")
    else:
        rows = [[one.model, one.version or "-", ascii(one.name)[1:-1], *map(str, one[3:])] for one in found]
        for line in aligned(_HEADER, rows):
            click.echo(line)
