"""`penstock events`."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
import msgspec
from click.core import ParameterSource

from penstock.audit.check import Verdict, checked
from penstock.audit.entry import Entry
from penstock.audit.files import AuditFiles
from penstock.audit.page import Asked, page_of
from penstock.cli.models_registry import as_json, leave, say
from penstock.cli.options import USAGE, with_settings
from penstock.config.load import Loaded

_USUAL: Final = 20


@click.group(invoke_without_command=True)
@click.option("--model", metavar="NAME", help="Only what concerns this model.")
@click.option("--who", metavar="NAME", help="Only what this key, admin, rollout, registry or server did.")
@click.option("--limit", type=click.IntRange(min=1), default=_USUAL, show_default=True, help="The most entries, the latest ones.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each entry.")
@with_settings
@click.pass_context
def events(ctx: click.Context, loaded: Loaded, *, model: str | None, who: str | None, limit: int, as_json: bool) -> None:
    """Tell who changed what, from the audit log in the state directory; no server needs to run.

    \b
    Examples:
      penstock events --model fraud
      penstock events verify
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx, ctx.invoked_subcommand)
        return
    try:
        page = page_of(_files(loaded), Asked(limit, model=model, who=who))
    except OSError as error:
        leave(f"the audit log cannot be read: {error}", USAGE)
    for entry in reversed(page.entries):
        click.echo(json.dumps(msgspec.to_builtins(entry)) if as_json else _line(entry))
    if not page.entries:
        click.echo("nothing is recorded", err=True)


@events.command()
@click.option(
    "--file",
    "given",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Check this file instead of those in the state directory. May be repeated, the oldest first.",
)
@as_json
@with_settings
def verify(loaded: Loaded, given: tuple[Path, ...], as_json: bool) -> None:
    """Check that no line of the audit log was changed, added or left out; exit code 1 names the first that was.

    \b
    Example:
      penstock events verify
    """
    try:
        verdict = checked(given) if given else _checked(_files(loaded))
    except OSError as error:
        leave(f"the audit log cannot be read: {error}", USAGE)
    if as_json:
        say(_document(verdict))
    if verdict.fault is not None:
        leave(f"{verdict.fault.path}, line {verdict.fault.line}: {verdict.fault.why}", 1)
    for line in () if as_json else _told(verdict):
        click.echo(line)


def _refuse_options(ctx: click.Context, command: str) -> None:
    """Raise `click.UsageError` for options before a command, which reads its own alone: it would look at another log than the one meant."""
    if any(ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in ctx.params):
        raise click.UsageError(f"options stand behind the command: {ctx.command_path} {command} …", ctx)


def _checked(files: AuditFiles) -> Verdict:
    with suppress(OSError), files.locked():  # a line that is just being written is none that was cut off
        return checked(files.oldest_first())
    return checked(files.oldest_first())  # a copy that takes no lock, such as a backup that can only be read


def _files(loaded: Loaded) -> AuditFiles:
    files = AuditFiles(Path(loaded.settings.server.state_dir))
    if not files.oldest_first():
        leave(f"{files.directory} holds no audit log; set server.state_dir to the server's", USAGE)
    return files


def _document(verdict: Verdict) -> dict[str, object]:
    first, last, fault = verdict
    return {
        "first": first and first.seq,
        "last": last and last.seq,
        "last_hash": last and last.hash,
        "fault": fault and fault._asdict(),
    }


def _told(verdict: Verdict) -> Iterator[str]:
    if verdict.first is None or verdict.last is None:
        yield "the log is empty"
        return
    yield f"entries {verdict.first.seq} to {verdict.last.seq} are as they were written"
    if verdict.first.seq > 1:
        yield f"entries 1 to {verdict.first.seq - 1} are not in these files"
    yield f"the last hash is {verdict.last.hash}"


def _line(entry: Entry) -> str:
    who = entry.who if entry.via == "server" else f"{entry.who} ({entry.via})"
    change = " -> ".join(text for text in (entry.before, entry.after) if text)
    words = [entry.at, who, entry.model, f"{entry.what}: {change}" if change else entry.what, f"({entry.why})" if entry.why else ""]
    return "  ".join(_plain(word) for word in words if word)


def _plain(text: str) -> str:
    """Return the text as a terminal may show it."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
