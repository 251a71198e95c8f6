"""A registry in a directory, in Triton's layout: `<model>/<version>/model.onnx`."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.domain.names import is_alias, is_model_name, is_version_number
from penstock.registry.artifact import open_artifact
from penstock.registry.pbtxt import read_config, unknown_field
from penstock.registry.source import Fingerprint, ModelListing, RegistryUnreachable, Snapshot, VersionListing
from penstock.registry.triton import TritonSettings, translate

MANIFEST: Final = "manifest.json"
_LIMIT_BYTES: Final = 1024 * 1024  # of a settings file
_T = TypeVar("_T")


class DirectoryRegistry:
    """Models in a local directory. Trusted input only as far as names and settings go; graphs are never trusted."""

    def __init__(self, root: Path, *, require_manifest: bool = False) -> None:
        self.root: Final = root
        self._require_manifest = require_manifest

    def snapshot(self) -> Snapshot:
        """Return what is there now; raises `RegistryUnreachable`."""
        ignored: list[str] = []
        try:
            names = [entry.name for entry in sorted(self.root.iterdir()) if entry.is_dir() and entry.name[0] != "."]
        except OSError as error:
            raise RegistryUnreachable(f"the registry directory {self.root} cannot be read: {error.strerror}") from error
        ignored += [f"{name!r}: not a valid model name" for name in names if not is_model_name(name)]
        models = {name: _model(self.root / name, ignored) for name in names if is_model_name(name)}
        return Snapshot(models, tuple(ignored))

    def open(self, model: ModelListing, version: VersionListing) -> ModelArtifact:
        """Return a version's verified files; raises `BadArtifact` or `LoadRefused` with the reason."""
        filename = model.triton.model_filename if model.triton else "model.onnx"
        identity = ModelVersion(model.name, str(version.number))
        return open_artifact(identity, version.directory, filename, require_manifest=self._require_manifest)


def _model(directory: Path, ignored: list[str]) -> ModelListing:
    problems: list[str] = []
    triton = _attempt(problems, lambda: _triton(directory))
    own = _attempt(problems, lambda: _toml(directory / "model.toml")) or {}
    aliases = _attempt(problems, lambda: _aliases(directory / "aliases.json")) or {}
    if triton is not None:
        problems += [f"config.pbtxt: {refusal}" for refusal in triton.refusals]
    shared = _fingerprint([directory / "config.pbtxt", directory / "model.toml"])
    versions = _attempt(problems, lambda: {found.number: found for found in _versions(directory, shared, ignored)}) or {}
    return ModelListing(
        directory.name,
        versions,
        aliases,
        {**(triton.options if triton else {}), **own},
        triton,
        "; ".join(problems),
        triton.warnings if triton else (),
    )


def _versions(model: Path, shared: Fingerprint, ignored: list[str]) -> Iterator[VersionListing]:
    for entry in sorted(model.iterdir()):
        if not entry.is_dir():
            continue
        if not is_version_number(entry.name):
            ignored.append(f"{model.name}/{entry.name}: a version is a number without leading zeros")
            continue
        yield _version(entry, shared)


def _version(directory: Path, shared: Fingerprint) -> VersionListing:
    problems: list[str] = []
    settings = _attempt(problems, lambda: _toml(directory / "model.toml")) or {}
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    listing = VersionListing(int(directory.name), directory, shared + _fingerprint(files), settings)
    return replace(listing, complete=(directory / MANIFEST).is_file(), problem="; ".join(problems))


def _fingerprint(files: list[Path]) -> Fingerprint:
    return tuple(print_ for path in files if (print_ := _stamp(path)) is not None)


def _stamp(path: Path) -> tuple[str, int, int] | None:
    try:
        status = path.stat()
    except OSError:  # it went away between the listing and now
        return None
    return (path.name, status.st_size, status.st_mtime_ns)


def _attempt(problems: list[str], read: Callable[[], _T]) -> _T | None:
    try:
        return read()
    except OSError as error:  # its text holds a path, which no answer may
        problems.append(f"{Path(error.filename or '').name}: {error.strerror}")
    except ValueError as error:
        problems.append(str(error))
    except RecursionError:
        problems.append("a settings file is nested too deeply")
    return None


def _text(path: Path) -> str:
    if not path.exists():
        return ""
    if path.stat().st_size > _LIMIT_BYTES:
        raise ValueError(f"{path.name} is larger than {_LIMIT_BYTES} bytes")
    return path.read_text(encoding="utf-8")


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name} is not valid TOML: {error}") from error


def _triton(directory: Path) -> TritonSettings | None:
    text = _text(directory / "config.pbtxt")
    if not text.strip():
        return None
    config = read_config(text)
    if config.name and config.name != directory.name:
        raise ValueError(f"config.pbtxt: the name {config.name!r} differs from the directory's, {directory.name!r}")
    triton = _with_labels(translate(config), directory)
    unknown = unknown_field(text)
    return replace(triton, warnings=(*triton.warnings, f"unknown field {unknown!r} is ignored")) if unknown else triton


def _with_labels(triton: TritonSettings, directory: Path) -> TritonSettings:
    """Read the label files that outputs name."""
    return replace(
        triton,
        outputs=tuple(
            replace(output, labels=tuple(_text(directory / Path(output.label_filename).name).splitlines()))
            if output.label_filename
            else output
            for output in triton.outputs
        ),
    )


def _aliases(path: Path) -> Mapping[str, int]:
    text = _text(path)
    if not text:
        return {}
    table = json.loads(text)
    if not isinstance(table, dict):
        raise ValueError('aliases.json is not an object such as {"champion": "3"}')  # noqa: TRY004 - the file is invalid, whatever its type
    return {_alias(name): _target(name, number) for name, number in table.items()}


def _alias(name: str) -> str:
    if not is_alias(name):
        raise ValueError(f"aliases.json: {name!r} is not a valid alias; use letters, digits, '_' and '-', not 'latest' or 'v<number>'")
    return name


def _target(name: str, number: object) -> int:
    if not is_version_number(str(number)):
        raise ValueError(f"aliases.json: {name!r} names {number!r}, which is not a version number")
    return int(str(number))
