"""From the small files of a model's folder to its listing, wherever the folder lies."""

import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Final, NamedTuple, Protocol, TypeVar

from penstock.domain.errors import BadArtifact
from penstock.domain.names import is_version_number, shown
from penstock.registry.aliases import ALIASES, parse_aliases
from penstock.registry.durable import DRAFT
from penstock.registry.manifest import MANIFEST
from penstock.registry.pbtxt import read_config, unknown_field
from penstock.registry.source import Fingerprint, ModelListing, VersionListing
from penstock.registry.triton import DeclaredTensor, TritonSettings, translate

SETTINGS: Final = "model.toml"
TRITON: Final = "config.pbtxt"
MAX_SETTINGS_BYTES: Final = 1024 * 1024
DELETED: Final = ".deleted-"
"""How the name of a folder begins that keeps the number of a deleted version from being used again."""

_T = TypeVar("_T")


class ModelFolder(Protocol):
    """The folder of one model. An OSError or ValueError that it raises becomes a problem of the listing."""

    @property
    def name(self) -> str:
        """The model's name."""

    def text(self, name: str) -> str:
        """Return a small file, "" if there is none; the name may lead into a version."""

    def folders(self) -> Iterable[str]:
        """Return the names of the folders in it, in order."""

    def fingerprint(self, name: str) -> Fingerprint:
        """Return the stamps of the file of that name, or of all files below the folder of that name; none if it is not there."""


def listing_of(folder: ModelFolder, ignored: list[str]) -> ModelListing:
    """Return what the files of the folder say; adds a sentence to `ignored` for each folder that looks like a version and is none."""
    problems: list[str] = []
    triton = _attempt(problems, lambda: _triton(folder))
    own = _attempt(problems, lambda: _toml(folder, SETTINGS)) or {}
    aliases = _attempt(problems, lambda: parse_aliases(folder.text(ALIASES))) or {}
    if triton is not None:
        problems += [f"{TRITON}: {refusal}" for refusal in triton.refusals]
    versions = _attempt(problems, lambda: {found.number: found for found in _versions(folder, ignored)}) or {}
    return ModelListing(
        folder.name,
        versions,
        aliases,
        {**(triton.options if triton else {}), **own},
        triton,
        "; ".join(problems),
        triton.warnings if triton else (),
    )


def with_config(model: ModelListing, config: str) -> ModelListing:
    """Return the model as it would be with that text for its config.pbtxt."""
    alone = listing_of(_Alone(model.name, config), [])
    problem = "; ".join(filter(None, (model.problem, alone.problem)))
    return replace(model, settings={**alone.settings, **model.settings}, triton=alone.triton, problem=problem)


class _Alone(NamedTuple):
    """A folder that holds nothing but config.pbtxt."""

    name: str
    config: str

    def text(self, name: str) -> str:
        """Return the configuration's text."""
        return self.config if name == TRITON else ""

    def folders(self) -> Iterable[str]:
        """Return nothing."""
        return ()

    def fingerprint(self, name: str) -> Fingerprint:  # noqa: ARG002 - as the protocol has it
        """Return nothing."""
        return ()


def _versions(folder: ModelFolder, ignored: list[str]) -> Iterator[VersionListing]:
    shared = folder.fingerprint(TRITON) + folder.fingerprint(SETTINGS)
    for name in folder.folders():
        if is_version_number(name):
            yield _version(folder, name, shared)
        elif not name.startswith((DRAFT, DELETED)):
            ignored.append(f"{folder.name}/{name}: a version is a number without leading zeros")


def _version(folder: ModelFolder, name: str, shared: Fingerprint) -> VersionListing:
    problems: list[str] = []
    settings = _attempt(problems, lambda: _toml(folder, f"{name}/{SETTINGS}")) or {}
    files = folder.fingerprint(name)
    complete = any(file == MANIFEST for file, _, _ in files)
    return VersionListing(int(name), Path(name), shared + files, settings, complete, "; ".join(problems))


def _attempt(problems: list[str], read: Callable[[], _T]) -> _T | None:
    try:
        return read()
    except OSError as error:  # its text holds a path, which no answer may
        problems.append(f"{PurePath(error.filename or '').name}: {error.strerror}")
    except ValueError as error:
        problems.append(str(error))
    except RecursionError:
        problems.append("a settings file is nested too deeply")
    return None


def settings_in(text: str) -> dict[str, object]:
    """Return what the text of a model.toml sets; raises `BadArtifact`."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadArtifact(f"{SETTINGS} is not valid TOML: {error}") from error


def _toml(folder: ModelFolder, name: str) -> dict[str, object]:
    try:
        return tomllib.loads(folder.text(name))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{PurePath(name).name} is not valid TOML: {error}") from error


def _triton(folder: ModelFolder) -> TritonSettings | None:
    text = folder.text(TRITON)
    if not text.strip():
        return None
    config = read_config(text)
    if config.name and config.name != folder.name:
        raise ValueError(f"{TRITON}: the name {config.name!r} differs from the directory's, {folder.name!r}")
    triton = translate(config)
    if not triton.refusals:  # a label file outside the folder is one
        triton = replace(triton, outputs=tuple(_labelled(output, folder) for output in triton.outputs))
    return replace(triton, warnings=(*triton.warnings, *_unlabelled(triton), *_unknown(text)))


def _labelled(output: DeclaredTensor, folder: ModelFolder) -> DeclaredTensor:
    """Read the label file that an output names."""
    if not output.label_filename:
        return output
    return replace(output, labels=tuple(folder.text(str(PurePosixPath(output.label_filename))).splitlines()))


def _unlabelled(triton: TritonSettings) -> Iterator[str]:
    for output in triton.outputs:
        if output.label_filename and not output.labels:
            yield f"the label file {shown(output.label_filename)} of the output {shown(output.name)} is missing or empty"


def _unknown(text: str) -> Iterator[str]:
    if unknown := unknown_field(text):
        yield f"unknown field {unknown!r} is ignored"
