"""`penstock keys`."""

import click

from penstock.cli.keys_create import create
from penstock.cli.keys_list import list_keys
from penstock.cli.keys_revoke import revoke


@click.group()
def keys() -> None:
    """Make, list and revoke API keys; servers follow the file within a second.

    The file is the one of security.keys_file. It holds digests: a key is printed as it is made, and never again.

    \b
    Example:
      penstock keys create shop --scope predict --model digits --keys-file keys.json
    """


for command in (create, list_keys, revoke):
    keys.add_command(command)
