"""`penstock traffic shadows`."""

from collections.abc import Collection, Mapping
from typing import Any

import click

from penstock.cli.admin import Admin, with_admin
from penstock.cli.models_registry import as_json, name_of, say
from penstock.cli.shadow_table import shadow_lines


@click.command()
@click.argument("model", callback=name_of)
@click.option(
    "--check", is_flag=True, help="Leave with exit code 1 if a shadow of the route fails, hangs, or disagrees with a version that answers."
)
@as_json
@with_admin
def shadows(admin: Admin, model: str, check: bool, as_json: bool) -> None:
    """Show what MODEL's shadows answer beside the versions that answered.

    \b
    Examples:
      penstock traffic shadows fraud
      penstock traffic shadows fraud --check --json
    """
    report = admin.ask("GET", f"/admin/models/{model}/shadows")
    if as_json:
        say(report)
    elif not report["shadows"]:
        click.echo(f"{model} has no shadows; penstock traffic shadow gives it one")
    else:
        for line in shadow_lines(report["shadows"]):
            click.echo(line)
    if check:
        answering = _answering(admin, model)
        if any(_is_bad(shadow, answering) for shadow in report["shadows"] if shadow["sample"] is not None):
            raise SystemExit(1)


def _answering(admin: Admin, model: str) -> set[str]:
    """Return the versions that the arms of the route are now."""
    route = admin.ask("GET", f"/admin/models/{model}")["route"]
    return set() if route is None else {arm["number"] for arm in route["arms"]}


def _is_bad(shadow: Mapping[str, Any], answering: Collection[str]) -> bool:
    """Tell whether a shadow fails, hangs, or disagrees in its latest comparison with one of the versions that answer."""
    latest = {comparison["primary"]: comparison["verdict"] for comparison in reversed(shadow["comparisons"])}
    fails = shadow["failed"]["count"] > 0 or shadow["hangs_since"] is not None
    return fails or any(latest.get(version) == "disagrees" for version in answering)
