"""`penstock traffic shadows`."""

from collections.abc import Mapping
from typing import Any

import click

from penstock.cli.admin import Admin, with_admin
from penstock.cli.models_registry import as_json, name_of, say
from penstock.cli.shadow_table import shadow_lines


@click.command()
@click.argument("model", callback=name_of)
@click.option("--check", is_flag=True, help="Leave with exit code 1 if a shadow of the route disagrees, fails or hangs.")
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
    if check and any(_is_bad(shadow) for shadow in report["shadows"] if shadow["sample"] is not None):
        raise SystemExit(1)


def _is_bad(shadow: Mapping[str, Any]) -> bool:
    """Tell whether a shadow fails, hangs, or disagrees in its latest comparison."""
    fails = shadow["failed"]["count"] > 0 or shadow["hangs_since"] is not None
    return fails or any(comparison["verdict"] == "disagrees" for comparison in shadow["comparisons"][:1])
