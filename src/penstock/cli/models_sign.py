"""`penstock models sign`."""

from pathlib import Path

import click

from penstock.cli.models_registry import Opened, as_json, leave, reference_of, say, with_registry
from penstock.cli.options import USAGE
from penstock.config.settings import WantedModel

private_key = click.Path(exists=True, dir_okay=False, path_type=Path)
"""What --key takes here and for `publish`."""


@click.command()
@click.argument("wanted", metavar="MODEL:N", callback=reference_of)
@click.option("--key", type=private_key, required=True, metavar="PEM", help="An unencrypted EC private key (P-256, P-384 or P-521).")
@as_json
@with_registry
def sign(opened: Opened, wanted: WantedModel, key: Path, as_json: bool) -> None:
    """Sign a version: its manifest, and with it every file.

    Writes model.sig beside the manifest, in place of an earlier signature. Servers with registry.signatures = "enforce"
    load what one of their registry.trusted_keys has signed.

    \b
    Example:
      penstock models sign fraud:3 --key release.pem --registry ./registry
    """
    from penstock.registry.publisher import sign_version  # noqa: PLC0415 - the registry takes a while to import; --help needs none
    from penstock.registry.publishers import publisher_of  # noqa: PLC0415 - as above

    if wanted.reference is None:
        leave(f"which version of {wanted.name}? write {wanted.name}:3 or {wanted.name}@champion", USAGE)
    model, version = opened.version(wanted)
    sign_version(publisher_of(opened.source), opened.source, model, version, key)
    if as_json:
        say({"model": model.name, "version": version.number, "signed": True})
    else:
        click.echo(f"{model.name}/{version.number} is signed")
