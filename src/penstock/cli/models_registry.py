"""What all commands below `penstock models` share: a registry to work on, references, and how they leave."""

import contextlib
import functools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from penstock.cli.options import USAGE, wanted_model, with_settings
from penstock.config.load import Loaded
from penstock.config.settings import Settings, WantedModel
from penstock.config.sources import process_environment
from penstock.domain.errors import NotFound, PenstockError
from penstock.domain.names import is_alias, is_model_name, is_version_number, shown
from penstock.registry.options import RegistryOptions

if TYPE_CHECKING:
    from penstock.registry.source import ModelListing, Source, VersionListing
    from penstock.registry.verified import VerifiedRegistry

_CHAMPION = "champion"


@dataclass(frozen=True)
class Opened:
    """A registry that a command works on."""

    settings: Settings

    @functools.cached_property
    def source(self) -> "Source":
        """Where the versions lie; raises `RegistryUnreachable`."""
        from penstock.registry.sources import source_of  # noqa: PLC0415 - the sources take a while to import; --help needs none

        return source_of(self.settings.registry, process_environment())

    @contextlib.contextmanager
    def fresh(self, options: RegistryOptions) -> Iterator["VerifiedRegistry"]:
        """Yield a registry that reads every byte from the source, whatever a server's cache holds; raises ValueError for unusable keys."""
        from penstock.registry.cache import Cache  # noqa: PLC0415 - as above
        from penstock.registry.verified import VerifiedRegistry  # noqa: PLC0415 - as above

        with tempfile.TemporaryDirectory(prefix="penstock-") as directory:
            registry = VerifiedRegistry(self.source, Cache(Path(directory), 0), options)
            registry.prepare()
            yield registry

    def model(self, name: str) -> "ModelListing":
        """Return the model as it is now; raises `NotFound`, `RegistryUnreachable`."""
        found = self.source.snapshot().models.get(name)
        if found is None:
            raise NotFound(f"the registry has no model {name!r}; penstock models list shows those that it has")
        return found

    def version(self, wanted: WantedModel) -> tuple["ModelListing", "VersionListing"]:
        """Return the version that a number or an alias names, else the one that would answer; raises `NotFound`."""
        model = self.model(wanted.name)
        return model, version_of(model, wanted.reference)


def version_of(model: "ModelListing", reference: str | None) -> "VersionListing":
    """Return the version that a number or an alias names, else the one that would answer; raises `NotFound`."""
    number = model.aliases.get(reference or _CHAMPION)
    if reference is None:
        number = number or max(model.versions, default=None)
    elif is_version_number(reference):
        number = int(reference)
    elif number is None:
        raise NotFound(f"model {model.name!r} has no alias {shown(reference)}; it has: {', '.join(sorted(model.aliases)) or 'none'}")
    if number is None or number not in model.versions:
        there = ", ".join(map(str, sorted(model.versions))) or "none"
        raise NotFound(f"the registry has no version {number or ''} of {model.name!r}; it has: {there}")
    return model.versions[number]


def with_registry(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for settings, and as its first argument the `Opened` registry that they name.

    What the registry or a model makes impossible ends the command with one line on stderr: exit code 1, or 2 for a registry that
    cannot be used at all.
    """

    @with_settings
    @functools.wraps(command)
    def run(loaded: Loaded, **given: object) -> None:
        with _told():
            command(Opened(loaded.settings), **given)

    return run


@contextlib.contextmanager
def _told() -> Iterator[None]:
    from penstock.registry.source import ReadOnlyRegistry, RegistryUnreachable  # noqa: PLC0415 - as above

    try:
        yield
    except RegistryUnreachable as error:
        leave(str(error), USAGE)
    except ReadOnlyRegistry as error:
        leave(str(error), 1)
    except PenstockError as error:
        leave(error.message, 1)


def leave(reason: str, code: int) -> NoReturn:
    """End the command with a line on stderr."""
    click.echo(reason, err=True)
    sys.exit(code)


def say(answer: object) -> None:
    """Print an answer for a machine."""
    click.echo(json.dumps(answer, indent=2, default=str))


def name_of(_ctx: click.Context, _param: click.Parameter, text: str) -> str:
    """Return a model's name, or raise `click.BadParameter`."""
    if not is_model_name(text):
        raise click.BadParameter(f"{shown(text)} cannot name a model; use letters, digits, '.', '_' and '-', such as fraud")
    return text


def alias_of(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    """Return an alias, or raise `click.BadParameter`."""
    if text is not None and not is_alias(text):
        raise click.BadParameter(f"{shown(text)} cannot be an alias; use letters, digits, '_' and '-', not 'latest' or 'v' and digits")
    return text


def number_of(_ctx: click.Context, _param: click.Parameter, text: str) -> int:
    """Return a version's number, or raise `click.BadParameter`."""
    if not is_version_number(text):
        raise click.BadParameter(f"{shown(text)} is not the number of a version, such as 3")
    return int(text)


def reference_of(_ctx: click.Context, _param: click.Parameter, text: str) -> WantedModel:
    """Return what MODEL, MODEL@REF or MODEL:N names, or raise `click.BadParameter`."""
    name, colon, number = text.partition(":")
    if not colon:
        return wanted_model(text)
    if not is_version_number(number):
        raise click.BadParameter(f"{shown(text)} has no version number after the colon; write MODEL:3 or MODEL@champion")
    return wanted_model(f"{name}@{number}")


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""The option of every command whose answer a machine may read."""
