"""`penstock models`: what is in a registry."""

from typing import TYPE_CHECKING

import click

from penstock.cli.models_alias import alias
from penstock.cli.models_delete import delete
from penstock.cli.models_diff import diff
from penstock.cli.models_publish import publish
from penstock.cli.models_reference import reference
from penstock.cli.models_registry import Opened, as_json, name_of, reference_of, say, with_registry
from penstock.cli.models_sign import sign
from penstock.cli.models_verify import verify
from penstock.cli.tables import aligned, plain
from penstock.config.settings import WantedModel

if TYPE_CHECKING:
    from penstock.registry.source import ModelListing, Snapshot


@click.group()
def models() -> None:
    """Look into a registry, publish versions, and move aliases.

    Every command takes --registry URI: a directory, s3://bucket/prefix (also gs, az), or mlflow+http://host, which is
    written with MLflow's own tools.

    \b
    Examples:
      penstock models publish model.onnx --name fraud --alias challenger --registry ./registry
      penstock models list --registry s3://models/prod
      penstock models alias set fraud champion 3
    """


def _optional_name(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    return None if text is None else name_of(ctx, param, text)


@models.command("list")
@click.argument("model", required=False, callback=_optional_name)
@as_json
@with_registry
def list_models(opened: Opened, model: str | None, as_json: bool) -> None:
    """List the models of a registry, or the versions of one.

    \b
    Examples:
      penstock models list --registry ./registry
      penstock models list fraud --json
    """
    if model is not None:
        _list_versions(opened, model, as_json)
        return
    snapshot = opened.source.snapshot()
    if as_json:
        say({"models": list(map(_model_answer, snapshot.models.values())), "ignored": list(snapshot.ignored)})
    else:
        _print_models(snapshot)


def _print_models(snapshot: "Snapshot") -> None:
    rows = [
        (name, ", ".join(map(str, sorted(model.versions))) or "-", _aliases(model), model.problem)
        for name, model in snapshot.models.items()
    ]
    for line in aligned(("MODEL", "VERSIONS", "ALIASES", "PROBLEM"), rows):
        click.echo(line)
    for sentence in snapshot.ignored:
        click.echo(f"ignored: {plain(sentence)}", err=True)


def _model_answer(model: "ModelListing") -> dict[str, object]:
    return {"model": model.name, "versions": sorted(model.versions), "aliases": dict(model.aliases), "problem": model.problem}


def _aliases(model: "ModelListing") -> str:
    return ", ".join(f"{alias} -> {number}" for alias, number in sorted(model.aliases.items())) or "-"


def _list_versions(opened: Opened, name: str, as_json: bool) -> None:
    from penstock.cli.models_facts import size, summary_of  # noqa: PLC0415 - the registry takes a while to import; --help needs none

    model = opened.model(name)
    found = [summary_of(opened.source, model, version) for _, version in sorted(model.versions.items())]
    if as_json:
        say({"model": name, "versions": found, "aliases": dict(model.aliases), "problem": model.problem})
        return
    rows = [
        (
            str(row["version"]),
            row["created"] or "-",
            size(row["size_bytes"]) if row["size_bytes"] else "-",
            ", ".join(row["aliases"]) or "-",
            _pairs(row["tags"]),
            row["problem"],
        )
        for row in found
    ]
    for line in aligned(("VERSION", "CREATED", "SIZE", "ALIASES", "TAGS", "PROBLEM"), rows):
        click.echo(line)
    if model.problem:
        click.echo(f"problem: {plain(model.problem)}", err=True)


def _pairs(table: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(table.items())) or "-"


@models.command()
@click.argument("wanted", metavar="MODEL[@REF|:N]", callback=reference_of)
@as_json
@with_registry
def show(opened: Opened, wanted: WantedModel, as_json: bool) -> None:
    """Show a version: its schema, opsets, size, digests, aliases, tags and lineage.

    Without a reference it is the one that would answer: the champion, else the highest number. A version without a
    manifest is read and loaded to learn the same.

    \b
    Examples:
      penstock models show fraud --registry ./registry
      penstock models show fraud@champion
      penstock models show fraud:3 --json
    """
    from penstock.cli.models_facts import facts_of  # noqa: PLC0415 - as above

    facts = facts_of(opened, *opened.version(wanted))
    if as_json:
        say(facts.answer())
        return
    for line in facts.lines():
        click.echo(line)


for command in (publish, reference, alias, verify, sign, diff, delete):
    models.add_command(command)
