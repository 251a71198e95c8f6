"""`penstock traffic rollout`."""

import json
import time
from pathlib import Path
from typing import Any, Final

import click

from penstock.cli.admin import Admin, with_admin
from penstock.cli.models_registry import as_json, name_of, say
from penstock.cli.rollout_view import OVER, headline, lines_of

_WATCH_S: Final = 1.0


def _steps(_ctx: click.Context, _param: click.Parameter, text: str | None) -> list[dict[str, float]] | None:
    if text is None:
        return None
    try:
        pairs = [part.partition(":") for part in text.split(",")]
        return [{"weight": float(weight)} | ({"hold_s": float(hold)} if hold else {}) for weight, _, hold in pairs]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no list of steps; write PERCENT:SECONDS,..., such as 1:300,10:300,50:600") from error


def _plan(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        plan = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{path} cannot be used: {error}") from error
    if not isinstance(plan, dict):
        raise click.BadParameter(f"{path} holds no JSON object")
    return plan


_MODEL: Final = click.argument("model", callback=name_of)
_WATCH: Final = click.option(
    "--watch", is_flag=True, help="Follow the rollout to its end, with a line for each change; exit code 1 unless it was promoted."
)


@click.group()
def rollout() -> None:
    """Give a version more and more traffic, judge it, promote it or go back.

    \b
    Example:
      penstock traffic rollout start fraud challenger --watch
    """


@rollout.command()
@_MODEL
@click.argument("canary", required=False)
@click.option(
    "--steps", callback=_steps, metavar="PERCENT:SECONDS,...", help="Weights and hold times. [default: 1:300,5:300,25:300,50:300]"
)
@click.option("--plan", type=click.Path(path_type=Path), callback=_plan, metavar="FILE", help="The plan in JSON, with gates and all.")
@_WATCH
@as_json
@with_admin
def start(
    admin: Admin,
    *,
    model: str,
    canary: str | None,
    steps: list[dict[str, float]] | None,
    plan: dict[str, Any],
    watch: bool,
    as_json: bool,
) -> None:
    """Start a rollout of CANARY (an alias, a number, or a canary of the route) of MODEL.

    What is said here wins over what the plan says.

    \b
    Example:
      penstock traffic rollout start fraud challenger --steps 5:600,50:600 --watch
    """
    plan |= {key: value for key, value in (("canary", canary), ("steps", steps)) if value is not None}
    report = admin.ask("POST", _path(model), plan)
    _tell(admin, report, watch=watch, as_json=as_json)


@rollout.command()
@_MODEL
@_WATCH
@as_json
@with_admin
def show(admin: Admin, model: str, watch: bool, as_json: bool) -> None:
    """Show the running or the last rollout of MODEL, and what each gate says.

    \b
    Example:
      penstock traffic rollout show fraud --json
    """
    _tell(admin, admin.ask("GET", _path(model)), watch=watch, as_json=as_json)


@rollout.command()
@_MODEL
@as_json
@with_admin
def pause(admin: Admin, model: str, as_json: bool) -> None:
    """Stay at the present weight until `resume`; the gates go on judging.

    \b
    Example:
      penstock traffic rollout pause fraud
    """
    _show(admin.ask("POST", f"{_path(model)}/pause"), as_json=as_json)


@rollout.command()
@_MODEL
@as_json
@with_admin
def resume(admin: Admin, model: str, as_json: bool) -> None:
    """Go on with a rollout that is paused.

    \b
    Example:
      penstock traffic rollout resume fraud
    """
    _show(admin.ask("POST", f"{_path(model)}/resume"), as_json=as_json)


@rollout.command()
@_MODEL
@as_json
@with_admin
def abort(admin: Admin, model: str, as_json: bool) -> None:
    """End the rollout of MODEL: all traffic goes back to the stable version.

    \b
    Example:
      penstock traffic rollout abort fraud
    """
    _show(admin.ask("DELETE", _path(model)), as_json=as_json)


def _path(model: str) -> str:
    return f"/admin/models/{model}/rollout"


def _tell(admin: Admin, report: dict[str, Any], *, watch: bool, as_json: bool) -> None:
    if watch:
        _follow(admin, report, as_json=as_json)
    else:
        _show(report, as_json=as_json)


def _follow(admin: Admin, report: dict[str, Any], *, as_json: bool) -> None:
    said = ""
    while report["phase"] not in OVER:
        if (now := f"{report['phase']} {report['step']['number']}") != said:
            click.echo(json.dumps(report) if as_json else headline(report))
            said = now
        time.sleep(_WATCH_S)
        report = admin.ask("GET", _path(report["model"]))
    click.echo(json.dumps(report) if as_json else "\n".join(lines_of(report)))
    if report["phase"] != "PROMOTED":
        raise click.exceptions.Exit(1)


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say(report)
    else:
        click.echo("\n".join(lines_of(report)))
