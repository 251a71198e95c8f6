"""`penstock traffic promote` and `penstock traffic rollback`."""

import click

from penstock.cli.admin import Admin, with_admin
from penstock.cli.models_registry import as_json, name_of, say
from penstock.cli.route_view import route_lines


@click.command()
@click.argument("model", callback=name_of)
@click.option("--canary", metavar="NAME", default="", help="Which one; needed where the route has several.")
@as_json
@with_admin
def promote(admin: Admin, model: str, canary: str, as_json: bool) -> None:
    """Make a canary of MODEL the stable version now.

    The alias that the route's `stable` names is moved; if `stable` is a number, the route changes.

    \b
    Example:
      penstock traffic promote fraud
    """
    _tell(admin, model, admin.ask("POST", f"/admin/models/{model}/promote", {"canary": canary} if canary else {}), as_json)


@click.command()
@click.argument("model", callback=name_of)
@as_json
@with_admin
def rollback(admin: Admin, model: str, as_json: bool) -> None:
    """Take all traffic of MODEL from its canaries; without canaries return to the stable version before this one.

    \b
    Example:
      penstock traffic rollback fraud
    """
    _tell(admin, model, admin.ask("POST", f"/admin/models/{model}/rollback", {}), as_json)


def _tell(admin: Admin, model: str, answer: dict[str, object], as_json: bool) -> None:
    if as_json:
        say(answer)
        return
    click.echo(f"{model}: version {answer['stable_version']} is the stable one")
    for line in route_lines(admin.ask("GET", f"/admin/models/{model}")):
        click.echo(line)
