"""`penstock payloads query`."""

import click

from penstock.cli.models_registry import as_json, leave, say
from penstock.cli.options import USAGE
from penstock.cli.payloads_files import Recorded, with_recorded
from penstock.cli.tables import aligned

NEEDED = "this needs the extra `monitor`: pip install 'penstock[monitor]'"


@click.command()
@click.argument("sql")
@as_json
@with_recorded
def query(recorded: Recorded, sql: str, as_json: bool) -> None:
    """Ask SQL of what is recorded: the view `payloads` has a row for each prediction, as far as its file is sealed.

    The view `feedback` has the first word that was said of each; join it by model and request_id.

    \b
    Examples:
      penstock payloads query "SELECT status, sum(1 / sampling_fraction) FROM payloads GROUP BY 1" fraud
      penstock payloads query "SELECT request_id, inputs[1].data->0 FROM payloads LIMIT 5"
      penstock payloads query "SELECT p.version, avg(reward) FROM payloads p JOIN feedback USING (model, request_id) GROUP BY 1"
    """
    try:
        from penstock.payloads import duck  # noqa: PLC0415 - an extra, and slow to import where it is not needed
    except ImportError:
        leave(NEEDED, USAGE)
    with duck.opened(recorded.sealed, recorded.feedback) as database:
        try:
            answer = database.execute(sql)
            names = [column[0] for column in answer.description or []]
            rows = answer.fetchall() if names else []
        except duck.Error as error:
            leave(str(error), 1)
    if as_json:
        say([dict(zip(names, row, strict=True)) for row in rows])
    elif names:
        for line in aligned(names, [[_plain(value) for value in row] for row in rows]):
            click.echo(line)


def _plain(value: object) -> str:
    """Return a value as it may stand on a terminal."""
    return "" if value is None else ascii(str(value))[1:-1]
