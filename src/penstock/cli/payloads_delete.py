"""`penstock payloads delete`."""

import sys
from datetime import UTC, datetime

import click

from penstock.cli.models_registry import as_json, leave, say
from penstock.cli.options import USAGE
from penstock.cli.payloads_files import Recorded, with_recorded


def _time(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime:
    from penstock.payloads.tombstones import time_of  # noqa: PLC0415 - orjson and msgspec are not needed for --help

    try:
        return datetime.now(UTC) if text is None else time_of(text)
    except ValueError as error:
        raise click.BadParameter("use a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z") from error


@click.command()
@click.option("--subject", required=True, help="Whose rows go, as the requests name them; - reads one line from stdin.")
@click.option("--before", metavar="TIME", callback=_time, help="Only rows of predictions that ended earlier; UTC. [default: now]")
@click.option("--dry-run", is_flag=True, help="Count the rows and leave them.")
@as_json
@with_recorded
def delete(recorded: Recorded, subject: str, before: datetime, dry_run: bool, as_json: bool) -> None:
    """Delete what is recorded of one subject, of MODEL or of all: the rows in which the setting `payloads.subject` has put its keyed hash.

    Finished files are rewritten at once. Files that a server is writing lose the rows before they are finished, and what waits for a sink
    elsewhere does before it is sent; what was sent is beyond reach. The key of the hashes is
    payloads.key in server.state_dir.

    \b
    Examples:
      penstock payloads delete --subject customer-4711
      penstock payloads delete fraud --subject - --before 2026-01-31 < subject
    """
    from penstock.payloads.deletion import Deletions, NoKey  # noqa: PLC0415 - numpy takes a while to import; --help needs none

    name = sys.stdin.readline().rstrip("\r\n") if subject == "-" else subject
    if not name:
        leave("the subject is empty; nothing is deleted", USAGE)
    deletions = Deletions(recorded.root, recorded.state_dir, recorded.keep_days)
    try:
        deleted = deletions.delete(name, before, recorded.model, recorded.version, dry_run=dry_run)
    except NoKey as error:
        leave(f"{error}; name it with --set server.state_dir=…", USAGE)
    if as_json:
        say(deleted._asdict() | {"dry_run": dry_run})
    else:
        click.echo(f"{deleted.rows} rows {'would be' if dry_run else 'are'} deleted, of {deleted.files} files")
        if deleted.waiting:
            click.echo(
                f"{deleted.waiting} rows are in a server's hands; they go before their files are finished (payloads.rotate_s), or sent"
            )
    if deleted.foreign:
        leave(f"{deleted.foreign} files are damaged or of another form, and were not looked into", 1)
