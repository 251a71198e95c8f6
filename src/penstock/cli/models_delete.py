"""`penstock models delete`."""

import click

from penstock.cli.models_registry import Opened, as_json, name_of, number_of, say, with_registry


@click.command()
@click.argument("model", callback=name_of)
@click.argument("number", metavar="N", callback=number_of)
@as_json
@with_registry
def delete(opened: Opened, model: str, number: int, as_json: bool) -> None:
    """Delete version N of MODEL. Its number is not used again.

    Refused while an alias names the version. A server that serves the version lets go of it at its next look.

    \b
    Example:
      penstock models delete fraud 2 --registry ./registry
    """
    from penstock.registry.publishers import publisher_of  # noqa: PLC0415 - the registry takes a while to import; --help needs none

    publisher_of(opened.source).delete(opened.model(model).name, number)
    if as_json:
        say({"model": model, "deleted": number})
    else:
        click.echo(f"{model}/{number} is deleted")
