"""Options that commands share, and how they become settings."""

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from penstock.config.errors import ConfigError
from penstock.config.load import Loaded, load
from penstock.config.settings import ServerOptions, WantedModel
from penstock.config.sources import FLAGS, parse_assignment, process_environment
from penstock.domain.names import is_alias, is_model_name, is_version_number

USAGE: Final = 2
"""The exit code for a mistake in usage, settings, a port or a directory."""
DAY_S: Final = 86_400
"""The longest that a command is told to wait; far more is beyond clocks."""

_USUAL_FILE: Final = Path("penstock.toml")
_SERVER: Final = ServerOptions()


class Number(click.FloatRange):
    """A number in a range; `nan` is in none, which click lets pass: it is neither below nor above."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - as it comes
        """Return the number, or end in a mistake in usage."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


class Start(NamedTuple):
    """What a command that works on models starts from."""

    loaded: Loaded
    wanted: tuple[WantedModel, ...]


def _wanted(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> tuple[WantedModel, ...]:
    wanted = tuple(map(wanted_model, texts))
    whole = {model.name for model in wanted if model.reference is None}
    for model in wanted:
        if model.reference is not None and model.name in whole:
            raise click.BadParameter(f"{model.name} is asked for both with @ and without; give the one or the others")
    return wanted


def wanted_model(text: str) -> WantedModel:
    """Return the model, and the version or alias, that NAME or NAME@REF names; raises `click.BadParameter`."""
    model, at, reference = text.partition("@")
    if not is_model_name(model):
        raise click.BadParameter(f"{text!r} names no model; write NAME or NAME@REF, such as digits@champion")
    if at and not (is_version_number(reference) or is_alias(reference)):
        raise click.BadParameter(f"{text!r} has no version or alias after the @; write NAME@3 or NAME@champion")
    return WantedModel(model, reference or None)


def _assignments(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, object]:
    try:
        return dict(map(parse_assignment, texts))
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


_CONFIG: Final = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings in TOML. [default: ./penstock.toml if it is there]",
)
_REGISTRY: Final = click.option("--registry", metavar="URI", help="Where the models are: a directory or a URI.")
_SET: Final = click.option(
    "--set",
    "assignments",
    metavar="KEY=VALUE",
    callback=_assignments,
    multiple=True,
    help="Set any key, such as defaults.slo_ms=50; the value is read as TOML, else as text. May be repeated.",
)
# Ports stay text here: the settings judge them, so that all problems are told together and in the same words.
_OPTIONS: Final = (
    _CONFIG,
    _REGISTRY,
    click.option(
        "--model",
        "wanted",
        metavar="NAME[@REF]",
        callback=_wanted,
        multiple=True,
        help="Serve this model only, or this version or alias of it. May be repeated, for one model too.",
    ),
    click.option("--host", metavar="ADDRESS", help=f"Where HTTP and gRPC listen. [default: {_SERVER.host}]"),
    click.option("--http-port", metavar="PORT", help=f"Port for HTTP; 0 picks a free one. [default: {_SERVER.http_port}]"),
    click.option("--grpc-port", metavar="PORT", help=f"Port for gRPC; 0 picks a free one. [default: {_SERVER.grpc_port}]"),
    click.option("--admin-port", metavar="PORT", help=f"Port for metrics and management. [default: {_SERVER.admin_port}]"),
    _SET,
    click.option(
        "--allow-unauthenticated",
        is_flag=True,
        default=None,
        help="Serve callers without a key even beyond loopback.",
    ),
)


def with_start(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options, and as its first argument the `Start` that they amount to.

    Settings that cannot be used end the command with exit code 2 and one line on stderr for each problem.
    """

    @functools.wraps(command)
    def run(
        config: Path | None,
        wanted: tuple[WantedModel, ...],
        assignments: dict[str, object],
        **given: object,
    ) -> None:
        # A flag with a name of its own wins over --set.
        flags = assignments | {flag: value for flag in FLAGS if (value := given.pop(_name(flag))) is not None}
        command(Start(_load(config, flags), wanted), **given)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), run)


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that opens no port the options for settings alone, and as its first argument the `Loaded` ones; see `with_start`."""

    @functools.wraps(command)
    def run(config: Path | None, registry: str | None, assignments: dict[str, object], **given: object) -> None:
        flags = assignments | ({} if registry is None else {"--registry": registry})
        command(_load(config, flags), **given)

    return functools.reduce(lambda wrapped, option: option(wrapped), (_SET, _REGISTRY, _CONFIG), run)


def _load(config: Path | None, flags: Mapping[str, object]) -> Loaded:
    usual = _USUAL_FILE if _USUAL_FILE.exists() else None
    try:
        return load(config or usual, process_environment(), flags)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        raise click.exceptions.Exit(USAGE) from error


def _name(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")
