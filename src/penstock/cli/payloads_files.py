"""What all commands below `penstock payloads` share: the recorded files that they look at."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from penstock.cli.models_registry import leave, name_of
from penstock.cli.options import USAGE, with_settings
from penstock.config.load import Loaded
from penstock.domain.names import is_version_number, shown

_NO_VERSION: Final = "none"


class Recorded(NamedTuple):
    """The files of a directory, of one model or one version of it, or of all."""

    root: Path
    model: str = "*"
    version: str = "*"
    state_dir: Path = Path()
    """Where the key of hashes is."""
    keep_days: float = 0.0

    @property
    def sealed(self) -> list[Path]:
        """The files that are finished."""
        from penstock.payloads.reading import sealed_files  # noqa: PLC0415 - numpy takes a while to import; --help needs none

        return sealed_files(self.root, self.model, self.version)

    @property
    def feedback(self) -> list[Path]:
        """The files of feedback that are finished; those of all versions, for they lie together."""
        from penstock.payloads.reading import feedback_files  # noqa: PLC0415 - as above

        return feedback_files(self.root, self.model)

    @property
    def all(self) -> list[Path]:
        """Those and the ones that are being written."""
        from penstock.payloads.reading import open_files  # noqa: PLC0415 - as above

        being_written = open_files(
            self.root, self.model, self.version
        )  # looked for first: what is sealed meanwhile is then among the sealed
        return self.sealed + being_written

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every row that was not deleted; a file that has been sealed or removed meanwhile is passed over."""
        from penstock.payloads.reading import rows_of  # noqa: PLC0415 - as above

        for path in self.all:
            with contextlib.suppress(FileNotFoundError):
                yield from self.there(rows_of(path))

    def there(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the rows without those that were deleted and wait in a file that is being written."""
        from penstock.payloads.tombstones import Tombstones  # noqa: PLC0415 - as above

        tombstones = Tombstones.of(self.root)
        return (row for row in rows if not tombstones.takes(row))


def _model(ctx: click.Context, param: click.Parameter, text: str | None) -> str:
    return "*" if text is None else name_of(ctx, param, text)


def _version(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str:
    if text is not None and text != _NO_VERSION and not is_version_number(text):
        raise click.BadParameter(f"{shown(text)} is not the number of a version, such as 3, nor {_NO_VERSION}")
    return text or "*"


def with_recorded(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the argument and the options that name recorded files, and as its first argument the `Recorded` ones.

    A directory that is not there ends the command with exit code 2, a file that cannot be read with 1; each with one line on stderr.
    """

    @click.argument("model", callback=_model, required=False)
    @click.option("--version", metavar="NUMBER", callback=_version, help="Only of this version.")
    @click.option("--dir", "directory", type=click.Path(path_type=Path), help="Where the files are. [default: by the settings]")
    @with_settings
    @functools.wraps(command)
    def run(loaded: Loaded, model: str, version: str, directory: Path | None, **given: object) -> None:
        from penstock.payloads.row import UnreadableRow  # noqa: PLC0415 - as above

        settings = loaded.settings
        state_dir = Path(settings.server.state_dir)
        root = directory or settings.payloads.directory(state_dir)
        if not root.is_dir():
            leave(f"no payloads are recorded in {root}: it is no directory; name it with --dir", USAGE)
        try:
            command(Recorded(root, model, version, state_dir, settings.payloads.keep_days), **given)
        except UnreadableRow as error:
            leave(f"a recorded file is damaged: {error}", 1)
        except OSError as error:
            leave(f"a recorded file cannot be read: {error}", 1)

    return run
