"""`penstock keys list`."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from penstock.cli.keys_file import keys_in, with_keys_file
from penstock.cli.tables import aligned
from penstock.security.keys import Key

_HEADER = ("ID", "NAME", "SCOPES", "MODELS", "LIMITS", "EXPIRES")


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print all that the file holds, as JSON.")
@with_keys_file
def list_keys(path: Path, as_json: bool) -> None:
    """List the keys of the file: what each may do, never the key itself.

    \b
    Example:
      penstock keys list --keys-file keys.json
    """
    keys = keys_in(path).keys
    if as_json:
        click.echo(json.dumps([{"id": key.id, **msgspec.to_builtins(key)} for key in keys]))
        return
    for line in aligned(_HEADER, [_row(key) for key in keys]):
        click.echo(line)


def _row(key: Key) -> tuple[str, ...]:
    models = "all" if key.models is None else ",".join(key.models) or "none"
    limits = {"rate": key.rate, "burst": key.burst, "in flight": key.max_in_flight, "weight": key.weight if key.weight != 1 else None}
    told = ", ".join(f"{name} {value:g}" for name, value in limits.items() if value is not None) or "usual"
    return key.id, key.name, ",".join(key.scopes), models, told, _expiry(key.expires)


def _expiry(expires: datetime | None) -> str:
    if expires is None:
        return "never"
    return f"{expires.astimezone(UTC):%Y-%m-%d %H:%M}Z{' (over)' if expires <= datetime.now(UTC) else ''}"
