"""From a version's directory to verified files."""

import hashlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import Final

from penstock.domain.errors import BadArtifact, LoadRefused
from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.registry.onnx_graph import OnnxGraph, scan

MANIFEST: Final = "manifest.json"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

KNOWN_DOMAINS: Final = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc",
     "com.microsoft.experimental", "com.ms.internal.nhwc"}
)  # fmt: skip
"""Operator domains that ONNX Runtime implements itself; any other needs native code that Penstock does not load."""


def open_artifact(
    identity: ModelVersion, directory: Path, filename: str = "model.onnx", *, require_manifest: bool = False
) -> ModelArtifact:
    """Return the files of a version once they are found whole: graph, external data and, where there is one, the manifest.

    Blocks: it reads every byte for the digest. Raises `BadArtifact` for incomplete or invalid files, `LoadRefused` for a manifest
    that does not match or an operator domain that is not known.
    """
    graph_file = _graph_file(directory, filename)
    files = _files(directory, graph_file)
    digests = {name: _sha256(path) for name, path in sorted(files.items())}
    _check_manifest(directory, digests, files, required=require_manifest)
    whole = hashlib.sha256("".join(f"{name}\0{digest}\n" for name, digest in digests.items()).encode()).hexdigest()
    size = sum(path.stat().st_size for path in files.values())
    return ModelArtifact(ModelVersion(identity.name, identity.version, whole), graph_file, size)


def _graph_file(directory: Path, filename: str) -> Path:
    path = directory / filename
    if path.is_dir():
        path /= filename
    if not path.is_file():
        raise BadArtifact(f"the file {filename} is missing from the version's directory")
    return path


def _files(directory: Path, graph_file: Path) -> dict[str, Path]:
    """Return the graph and its external data, by their names relative to the version's directory."""
    try:
        graph = scan(graph_file)
    except ValueError as error:
        raise BadArtifact(str(error)) from error
    _check_domains(graph)
    found = {str(graph_file.relative_to(directory)): graph_file}
    for data in graph.external_data:
        path = _external(graph_file.parent, data.location)
        if path.stat().st_size < data.offset + (data.length or 0):
            raise BadArtifact(f"the external-data file {data.location!r} is shorter than the graph says")
        found[str(path.relative_to(directory))] = path
    return found


def _check_domains(graph: OnnxGraph) -> None:
    unknown = sorted(graph.domains - KNOWN_DOMAINS - graph.function_domains)
    if unknown:
        raise LoadRefused(f"the graph uses operators of unknown domains: {', '.join(unknown)}; custom operators are not loaded")


def _external(folder: Path, location: str) -> Path:
    """Return the file of a plain relative name; a link or a path that leaves the folder is refused."""
    name = PurePosixPath(location)
    if not location or name.is_absolute() or ".." in name.parts or "\\" in location:
        raise BadArtifact(
            f"the graph names external data {name.name!r} outside the model's directory; only files beside the model are read"
        )
    path = folder / location
    if not path.is_file() or path.resolve() != folder.resolve().joinpath(*name.parts):
        raise BadArtifact(f"the external-data file {location!r} is missing beside the model")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_manifest(directory: Path, digests: dict[str, str], files: dict[str, Path], *, required: bool) -> None:
    path = directory / MANIFEST
    if not path.is_file():
        if required:
            raise LoadRefused("the version has no manifest.json, and registry.require_manifest is on")
        return
    declared = _declared(path)
    for name in sorted(set(digests) - set(declared)):
        raise LoadRefused(f"manifest.json does not list the file {name!r}")
    _check_extra(directory, set(declared))
    for name, entry in declared.items():
        _check_file(directory, name, entry, digests.get(name), files.get(name))


def _declared(path: Path) -> dict[str, dict[str, object]]:
    try:
        files = json.loads(path.read_bytes())["files"]
        return {str(name): dict(entry) for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadRefused('manifest.json is not of the form {"files": {"model.onnx": {"sha256": …, "size": …}}}') from error


def _check_extra(directory: Path, declared: set[str]) -> None:
    present = {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}
    for name in sorted(present - declared - {MANIFEST, "model.toml"}):
        raise LoadRefused(f"the file {name!r} is not listed in manifest.json; remove it or publish the version again")


def _check_file(directory: Path, name: str, entry: dict[str, object], digest: str | None, path: Path | None) -> None:
    if not isinstance(entry.get("sha256"), str) or _SHA256.fullmatch(str(entry["sha256"])) is None:
        raise LoadRefused(f"manifest.json: the sha256 of {name!r} is not 64 lower-case hexadecimal digits")
    path = path or _external(directory, name)
    if entry.get("size") != path.stat().st_size:
        raise LoadRefused(f"{name!r} has {path.stat().st_size} bytes, manifest.json says {entry.get('size')}")
    if entry["sha256"] != (digest or _sha256(path)):
        raise LoadRefused(f"the sha256 of {name!r} differs from the one in manifest.json; the file was altered")
