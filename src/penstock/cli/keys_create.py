"""`penstock keys create`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from penstock.cli.keys_file import changing, with_keys_file
from penstock.cli.options import Number
from penstock.domain.caller import Action
from penstock.domain.names import is_model_name
from penstock.security.keys import Key, digest_of, new_secret

_MOST_DAYS: Final = 1_000_000
"""Before calendars end."""


def _models(_ctx: click.Context, _param: click.Parameter, names: tuple[str, ...]) -> list[str] | None:
    for name in names:
        if not is_model_name(name):
            raise click.BadParameter(f"{name!r} names no model")
    return list(names) or None


@click.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([action.value for action in Action]),
    multiple=True,
    default=("predict", "read"),
    show_default=True,
    help="May be repeated.",
)
@click.option("--model", "models", metavar="NAME", callback=_models, multiple=True, help="For this model only. May be repeated.")
@click.option("--days", type=Number(0, _MOST_DAYS, min_open=True), help="Expires after so many days. [default: never]")
@click.option("--rate", type=float, help="Predictions per second. [default: by security.rate]")
@click.option("--burst", type=float, help="Predictions that may come at once. [default: as many as a second allows]")
@click.option("--max-in-flight", type=int, help="Predictions that may be under way. [default: by security.max_in_flight]")
@click.option("--weight", type=float, help="The part of a queue that others wait in too, against theirs. [default: 1]")
@click.option("--json", "as_json", is_flag=True, help="Print the key and what is known of it as JSON.")
@with_keys_file
def create(path: Path, name: str, scopes: tuple[str, ...], days: float | None, as_json: bool, **limits: Any) -> None:  # noqa: ANN401 - as they come
    """Make a key for NAME and print it; it cannot be shown again.

    Keys of one name are one tenant. To replace a key, make a second one of the same name, hand it out, and revoke the first
    by its id.

    \b
    Examples:
      penstock keys create shop --model digits --keys-file keys.json
      (umask 077; penstock keys create ops --scope manage --scope read > .penstock/admin.token)
    """
    secret, now = new_secret(), datetime.now(UTC).replace(microsecond=0)
    fields = {"name": name, "sha256": digest_of(secret), "scopes": list(dict.fromkeys(scopes)), "created": now}
    fields |= {} if days is None else {"expires": now + timedelta(days=days)}
    key = _checked(fields | {field: value for field, value in limits.items() if value is not None})
    with changing(path) as (file, replace):
        replace(type(file)([*file.keys, key]))
    if as_json:
        click.echo(json.dumps({"key": secret, "id": key.id, **msgspec.to_builtins(key)}))
    else:
        click.echo(secret)
        click.echo(f"made key {key.id} of {name} in {path}; it is not shown again", err=True)


def _checked(fields: dict[str, object]) -> Key:
    try:
        return msgspec.convert(fields, Key)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"the key is not valid: {error}") from error
