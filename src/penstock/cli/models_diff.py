"""`penstock models diff`."""

import click

from penstock.cli.models_registry import Opened, as_json, name_of, say, version_of, with_registry
from penstock.cli.tables import aligned
from penstock.domain.names import is_alias, is_version_number, shown


def _reference(_ctx: click.Context, _param: click.Parameter, text: str) -> str:
    if not (is_version_number(text) or is_alias(text)):
        raise click.BadParameter(f"{shown(text)} is neither a version number nor an alias")
    return text


@click.command()
@click.argument("model", callback=name_of)
@click.argument("one", metavar="A", callback=_reference)
@click.argument("other", metavar="B", callback=_reference)
@as_json
@with_registry
def diff(opened: Opened, model: str, one: str, other: str, as_json: bool) -> None:
    """Show in what two versions of MODEL differ: schema, opsets, files, size, settings, tags, lineage.

    A and B are version numbers or aliases.

    \b
    Examples:
      penstock models diff fraud 2 3 --registry ./registry
      penstock models diff fraud champion challenger --json
    """
    from penstock.cli.models_facts import facts_of, flat  # noqa: PLC0415 - the registry takes a while to import; --help needs none

    listing = opened.model(model)
    found = [facts_of(opened, listing, version_of(listing, reference)) for reference in (one, other)]
    before, after = (flat(facts.answer()) for facts in found)
    changes = [(key, before.get(key, "-"), after.get(key, "-")) for key in {**before, **after} if before.get(key) != after.get(key)]
    numbers = [facts.version.number for facts in found]
    if as_json:
        say({"model": model, "versions": numbers, "changes": [{"fact": key, "a": was, "b": now} for key, was, now in changes]})
        return
    if not changes:
        click.echo("they do not differ")
        return
    for line in aligned(("FACT", *map(str, numbers)), changes):
        click.echo(line)
