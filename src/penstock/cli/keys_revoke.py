"""`penstock keys revoke`."""

from pathlib import Path

import click

from penstock.cli.keys_file import changing, with_keys_file


@click.command()
@click.argument("key")
@with_keys_file
def revoke(path: Path, key: str) -> None:
    """Revoke the key of an id, or all keys of a name. Servers refuse it within a second; what is under way is still answered.

    \b
    Example:
      penstock keys revoke 3fa5b2c09d11 --keys-file keys.json
    """
    with changing(path) as (file, replace):
        gone = file.found(key)
        if not gone:
            click.echo(f"{path} holds no key with the id or name {key!r}; see `penstock keys list`", err=True)
            raise click.exceptions.Exit(1)
        replace(file.without(gone))
    for revoked in gone:
        click.echo(f"revoked {revoked.id} of {revoked.name}")
