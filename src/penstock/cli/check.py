"""`penstock check`."""

import json
import sys
from typing import TYPE_CHECKING

import click

from penstock.cli.options import Start, with_start
from penstock.cli.tables import aligned
from penstock.config.load import effective
from penstock.config.origins import written

if TYPE_CHECKING:
    from penstock.lifecycle.check_report import CheckReport


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_start
def check(start: Start, as_json: bool) -> None:
    """Load and warm every model without listening.

    Prints the settings in force with the origin of each, then the versions, then what plans of penstock tune change.
    Exit code 1 if a model cannot be served, with every problem listed; 2 if the settings cannot be used.

    \b
    Examples:
      penstock check --registry ./registry
      penstock check --config penstock.toml --model digits --json
    """
    settings = effective(start.loaded)
    if not as_json:
        _print_settings(settings)
    report = _report(start)
    if as_json:
        click.echo(_json(settings, report))
    else:
        _print_report(report)
    sys.exit(1 if report.problems else 0)


def _report(start: Start) -> "CheckReport":
    # The server brings ONNX Runtime and gRPC along, which take most of a second to import; --help needs neither.
    from penstock.server import check as check_models  # noqa: PLC0415 - see above

    return check_models(start.loaded.settings, start.wanted)


def _print_settings(settings: list[tuple[str, object, str]]) -> None:
    rows = [(key, written(value), origin) for key, value, origin in settings]
    for line in aligned(("SETTING", "VALUE", "ORIGIN"), rows):
        click.echo(line)


def _print_report(report: "CheckReport") -> None:
    rows = [(row.model, str(row.version), str(row.state), f"{row.load_s or 0:.2f} s", row.reason or "") for row in report.versions]
    click.echo()
    for line in aligned(("MODEL", "VERSION", "STATE", "LOAD", "REASON"), rows):
        click.echo(line)
    _print_tuned(report)
    for warning in report.warnings:
        click.echo(f"warning: {warning}")
    for problem in report.problems:
        click.echo(f"problem: {problem}")


def _print_tuned(report: "CheckReport") -> None:
    rows = [(f"{row.model}/{row.version}", key, written(value), "tuned") for row in report.versions for key, value in row.tuned.items()]
    if rows:
        click.echo()
        for line in aligned(("VERSION", "SETTING", "VALUE", "ORIGIN"), rows):
            click.echo(line)


def _json(settings: list[tuple[str, object, str]], report: "CheckReport") -> str:
    answer = {
        "settings": [{"key": key, "value": value, "origin": origin} for key, value, origin in settings],
        "versions": [
            {key: getattr(row, key) for key in ("model", "version", "state", "reason", "load_s", "tuned")} for row in report.versions
        ],
        "problems": list(report.problems),
        "warnings": list(report.warnings),
    }
    return json.dumps(answer, indent=2, default=str)
