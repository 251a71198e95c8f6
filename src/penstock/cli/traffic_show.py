"""`penstock traffic show`."""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Final, Self

import click

from penstock.cli.admin import Admin, with_admin
from penstock.cli.models_registry import as_json, leave, name_of, say
from penstock.cli.options import USAGE
from penstock.cli.route_view import route_lines, since

_Report = Mapping[str, Any]
_LEAST_S: Final = 0.1


@click.command()
@click.argument("model", callback=name_of)
@click.option("--watch", is_flag=True, help="Look again and again, and tell what has happened in between, until Ctrl-C.")
@click.option("--every", "every_s", type=click.FloatRange(min=_LEAST_S), default=2.0, show_default=True, help="Seconds between two looks.")
@click.option("--count", type=click.IntRange(min=1), help="With --watch: end after so many looks.")
@as_json
@with_admin
def show(admin: Admin, model: str, *, watch: bool, every_s: float, count: int | None, as_json: bool) -> None:
    """Show the route of MODEL: its arms, their weights, and what they have answered.

    Figures count from the load of a version; with --watch they are those of the last interval.

    \b
    Example:
      penstock traffic show fraud --watch
    """
    report = _look(admin, model)
    if watch:
        _watch(admin, report, every_s=every_s, count=count, as_json=as_json)
    elif as_json:
        say(report["route"])
    else:
        for line in route_lines(report):
            click.echo(line)


def _look(admin: Admin, model: str) -> dict[str, Any]:
    report: dict[str, Any] = admin.ask("GET", f"/admin/models/{model}")
    return report


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
                view.update(json.dumps(window["route"]) if as_json else "\n".join(route_lines(window, elapsed_s)))
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
