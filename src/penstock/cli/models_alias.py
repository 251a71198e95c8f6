"""`penstock models alias`."""

import click

from penstock.cli.models_registry import Opened, alias_of, as_json, name_of, number_of, say, with_registry


@click.group()
def alias() -> None:
    """Move or remove an alias; servers follow within registry.poll_s.

    \b
    Example:
      penstock models alias set fraud champion 3 --registry ./registry
    """


@alias.command("set")
@click.argument("model", callback=name_of)
@click.argument("name", metavar="ALIAS", callback=alias_of)
@click.argument("number", metavar="N", callback=number_of)
@as_json
@with_registry
def set_alias(opened: Opened, model: str, name: str, number: int, as_json: bool) -> None:
    """Let ALIAS stand for version N of MODEL.

    A server loads, checks and warms the version before it moves; if that fails, the old version goes on answering. Moving
    it back is a rollback.

    \b
    Example:
      penstock models alias set fraud champion 3 --registry ./registry
    """
    before = opened.model(model).aliases.get(name)
    opened.source.set_alias(model, name, number)
    _tell(model, name, before, number, as_json)


@alias.command("remove")
@click.argument("model", callback=name_of)
@click.argument("name", metavar="ALIAS", callback=alias_of)
@as_json
@with_registry
def remove_alias(opened: Opened, model: str, name: str, as_json: bool) -> None:
    """Remove ALIAS from MODEL; one that is not there is no error.

    \b
    Example:
      penstock models alias remove fraud challenger --registry ./registry
    """
    before = opened.model(model).aliases.get(name)
    opened.source.set_alias(model, name, None)
    _tell(model, name, before, None, as_json)


def _tell(model: str, name: str, before: int | None, after: int | None, as_json: bool) -> None:
    if as_json:
        say({"model": model, "alias": name, "before": before, "after": after})
    else:
        click.echo(f"{model}: {name} -> {after or 'nothing'} (before: {before or 'nothing'})")
