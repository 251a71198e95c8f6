"""`penstock traffic show`."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

import click

from penstock.cli.admin import Admin, with_admin
from penstock.cli.models_registry import as_json, leave, name_of, say
from penstock.cli.options import DAY_S, USAGE, Number
from penstock.cli.rollout_view import rollout_lines
from penstock.cli.route_view import route_lines, since

_Report = Mapping[str, Any]
_LEAST_S: Final = 0.1
_NO_ROLLOUT: Final = (404, 503)
"""What the admin API answers about a rollout where there was none, and before the server has taken its rollouts up."""


@click.command()
@click.argument("model", callback=name_of)
@click.option("--watch", is_flag=True, help="Look again and again, and tell what has happened in between, until Ctrl-C.")
@click.option("--every", "every_s", type=Number(_LEAST_S, DAY_S), default=2.0, show_default=True, help="Seconds between two looks.")
@click.option("--count", type=click.IntRange(min=1), help="With --watch: end after so many looks.")
@as_json
@with_admin
def show(admin: Admin, model: str, *, watch: bool, every_s: float, count: int | None, as_json: bool) -> None:
    """Show the route of MODEL: its arms, their weights, what they have answered, and what a rollout thinks of it.

    Figures count from the load of a version; with --watch they are those of the last interval. Verdicts are of the rollout's step.

    \b
    Example:
      penstock traffic show fraud --watch
    """
    report = _look(admin, model)
    if watch:
        _watch(admin, report, every_s=every_s, count=count, as_json=as_json)
    elif as_json:
        say(_told(report))
    else:
        for line in _lines(report):
            click.echo(line)


def _look(admin: Admin, model: str) -> dict[str, Any]:
    """Return what is told of the model, with its running or last rollout."""
    path = f"/admin/models/{model}"
    return {**admin.ask("GET", path), "rollout": admin.ask("GET", f"{path}/rollout", unless=_NO_ROLLOUT)}


def _told(report: _Report) -> object:
    """Return what machines are told: the route, and the rollout in it; null for a model that has none."""
    return None if report["route"] is None else {**report["route"], "rollout": report["rollout"]}


def _lines(report: _Report, elapsed_s: float | None = None) -> Iterator[str]:
    yield from route_lines(report, elapsed_s)
    if report["rollout"] is not None:
        yield ""
        yield from rollout_lines(report["rollout"])


def _watch(admin: Admin, report: _Report, *, every_s: float, count: int | None, as_json: bool) -> None:
    view = _Lines() if as_json or not sys.stdout.isatty() else _screen()
    looks = 0
    try:
        with view:
            while count is None or looks < count:
                began, before = time.monotonic(), report
                time.sleep(every_s)
                report = _look(admin, report["name"])
                window = since(before, report)
                elapsed_s = time.monotonic() - began
                view.update(json.dumps(_told(window)) if as_json else "\n".join(_lines(window, elapsed_s)))
                looks += 1
    except KeyboardInterrupt:
        return


class _Lines:
    """Prints each view below the one before: for pipes and files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep nothing open."""

    def update(self, text: str) -> None:
        """Show a view."""
        click.echo(text)


def _screen() -> Any:  # noqa: ANN401 - rich's Live
    try:
        from rich.live import Live  # noqa: PLC0415 - the rest of the command does without the extra
        from rich.text import Text  # noqa: PLC0415 - as above
    except ImportError:
        leave("--watch on a terminal needs the extra `bench`: pip install 'penstock[bench]'; or pipe it, or use --json", USAGE)

    class Screen(Live):
        """Shows one view in place of the one before."""

        def update(self, renderable: Any, *, refresh: bool = True) -> None:  # noqa: ANN401 - text
            """Show a view."""
            super().update(Text(renderable) if isinstance(renderable, str) else renderable, refresh=refresh)

    return Screen(auto_refresh=False)
