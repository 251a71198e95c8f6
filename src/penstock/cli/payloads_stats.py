"""`penstock payloads stats`."""

from typing import TYPE_CHECKING, Final

import click

from penstock.cli.models_registry import as_json, say
from penstock.cli.payloads_files import Recorded, with_recorded
from penstock.cli.tables import aligned

if TYPE_CHECKING:
    from penstock.payloads.summary import Group, Summary

_HEADER: Final = ("MODEL", "VERSION", "ARM", "ROWS", "PREDICTIONS", "ERRORS", "P50 MS", "P99 MS", "FIRST", "LAST")


@click.command()
@as_json
@with_recorded
def stats(recorded: Recorded, as_json: bool) -> None:
    """Count what is recorded, of MODEL or of all, and estimate what it stands for.

    A row stands for as many predictions as its sampling fraction says, so the figures hold for all predictions, recorded or not.

    \b
    Examples:
      penstock payloads stats
      penstock payloads stats fraud --json
    """
    from penstock.payloads.summary import summaries  # noqa: PLC0415 - numpy takes a while to import; --help needs none

    found = summaries(recorded.rows())
    if as_json:
        say([group._asdict() | summary.document() for group, summary in found.items()])
    elif not found:
        click.echo("nothing is recorded; models.<name>.payloads.sample = 0.1 records a tenth")
    else:
        for line in aligned(_HEADER, [_cells(group, summary) for group, summary in found.items()]):
            click.echo(line)


def _cells(group: "Group", summary: "Summary") -> list[str]:
    milliseconds = [f"{summary.total_us(quantile) / 1000:.2f}" for quantile in (0.5, 0.99)]
    counts = [str(summary.rows), f"{summary.predictions:.0f}", f"{100 * summary.error_rate:.2f} %"]
    return [group.model, group.version or "-", group.route, *counts, *milliseconds, summary.first[:19], summary.last[:19]]
