"""`penstock traffic set` and `penstock traffic shadow`."""

import json
from collections.abc import Mapping
from typing import Any, Final, TextIO

import click

from penstock.cli.admin import Admin, with_admin
from penstock.cli.models_registry import as_json, name_of, say
from penstock.cli.options import Number
from penstock.cli.route_view import route_lines
from penstock.domain.names import shown

_HUNDREDTHS: Final = 2


def _canaries(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> list[dict[str, object]]:
    """Return what [NAME=]REF:PERCENT says, or raise `click.BadParameter`; the reference is the name where none is given."""
    return [_canary(text) for text in texts]


def _canary(text: str) -> dict[str, object]:
    named, _, percent = text.rpartition(":")
    name, _, version = named.rpartition("=")
    try:
        weight = round(float(percent.removesuffix("%")), _HUNDREDTHS)
    except ValueError:
        weight = -1
    if not version or weight < 0:
        raise click.BadParameter(f"{shown(text)} is no canary; write NAME=VERSION:PERCENT, such as b=challenger:5")
    return {"name": name or version, "version": version, "weight": weight}


def _document(_ctx: click.Context, _param: click.Parameter, file: TextIO | None) -> dict[str, object] | None:
    if file is None:
        return None
    try:
        document = json.load(file)
    except ValueError as error:
        raise click.BadParameter(f"{file.name} holds no JSON: {error}") from error
    if not isinstance(document, dict):
        raise click.BadParameter(f'{file.name} holds no route; write an object such as {{"stable": "champion"}}')
    return document


@click.command("set")
@click.argument("model", callback=name_of)
@click.option("--stable", metavar="VERSION", help="The number or alias that gets what canaries leave over.")
@click.option(
    "--canary",
    "canaries",
    metavar="[NAME=]VERSION:PERCENT",
    callback=_canaries,
    multiple=True,
    help="A canary and its share. May be repeated; those that are not named go.",
)
@click.option("--no-canaries", is_flag=True, help="Take all canaries away.")
@click.option("--sticky-header", metavar="NAME", help="The same value of this header gets the same arm.")
@click.option("--sticky-input", metavar="NAME", help="The same first element of this input gets the same arm.")
@click.option("--no-sticky", is_flag=True, help="Let each request be a draw of its own.")
@click.option("--override/--no-override", default=None, help="Whether callers may choose an arm with penstock-route.")
@click.option("--file", "document", type=click.File(), callback=_document, help="The whole route in JSON, - for standard input.")
@click.option("--remove", is_flag=True, help="Take the whole route away.")
@as_json
@with_admin
def set_route(admin: Admin, model: str, document: dict[str, object] | None, remove: bool, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - click's
    """Change the route of MODEL: what is given here is changed, the rest stays.

    The server refuses it, and nothing changes, unless every version that the route names is ready.

    \b
    Example:
      penstock traffic set fraud --canary b=challenger:5 --sticky-header x-user-id
    """
    path = f"/admin/models/{model}/route"
    if remove:
        admin.ask("DELETE", path)
    elif document is not None:
        admin.ask("PUT", path, document)
    else:
        _change(admin, model, _changes(given))
    _tell(admin, model, as_json)


@click.command()
@click.argument("model", callback=name_of)
@click.argument("version")
@click.option("--sample", type=Number(0, 1), default=1.0, show_default=True, help="The share of requests that it is asked too.")
@click.option("--remove", is_flag=True, help="Ask it no more.")
@as_json
@with_admin
def shadow(admin: Admin, model: str, version: str, *, sample: float, remove: bool, as_json: bool) -> None:
    """Ask VERSION of MODEL what the others are asked, and give its answers to nobody.

    \b
    Example:
      penstock traffic shadow fraud 7 --sample 0.1
    """
    report = admin.ask("GET", f"/admin/models/{model}")["route"]
    shadows = report["route"]["shadows"] if report else []
    others = [each for each in shadows if each["version"] != version]
    if remove and others == shadows:
        click.echo(f"{shown(version)} is no shadow of {model}: nothing is to be removed", err=True)
    else:
        _change(admin, model, {"shadows": others if remove else [*others, {"version": version, "sample": sample}]})
    _tell(admin, model, as_json)


def _changes(given: Mapping[str, Any]) -> dict[str, object]:
    changes: dict[str, object] = {}
    if given["stable"] is not None:
        changes["stable"] = given["stable"]
    if given["canaries"] or given["no_canaries"]:
        changes["canaries"] = given["canaries"]
    sticky = {"header": given["sticky_header"], "input": given["sticky_input"]}
    if any(sticky.values()) or given["no_sticky"]:
        changes["sticky"] = {place: name for place, name in sticky.items() if name} or None
    if given["override"] is not None:
        changes["override"] = given["override"]
    if not changes:
        raise click.UsageError("nothing is to change; give --canary, --stable, --file or another option, or see penstock traffic show")
    return changes


def _change(admin: Admin, model: str, changes: Mapping[str, object]) -> None:
    """Change parts of the route that is there now, unless somebody else has changed it meanwhile."""
    report = admin.ask("GET", f"/admin/models/{model}")["route"]
    route = {} if report is None else report["route"]
    admin.ask("PUT", f"/admin/models/{model}/route", {**route, **changes}, if_match=None if report is None else report["revision"])


def _tell(admin: Admin, model: str, as_json: bool) -> None:
    report = admin.ask("GET", f"/admin/models/{model}")
    if as_json:
        say(report["route"])
        return
    for line in route_lines(report):
        click.echo(line)
