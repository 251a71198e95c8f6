"""What the files of a version must be before an engine sees them: pure checks over names, digests and a private copy."""

import hashlib
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from penstock.domain.errors import BadArtifact, LoadRefused
from penstock.domain.model import ModelVersion
from penstock.domain.names import shown
from penstock.registry.content import Content
from penstock.registry.file_name import both_file_and_folder, name_problem
from penstock.registry.manifest import MANIFEST, REFERENCE, SIGNATURE, FileDigest, Manifest
from penstock.registry.model_folder import SETTINGS
from penstock.registry.onnx_graph import OnnxGraph, scan
from penstock.registry.source import SourceFile

KNOWN_DOMAINS: Final = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc",
     "com.microsoft.experimental", "com.ms.internal.nhwc"}
)  # fmt: skip
"""Operator domains that ONNX Runtime implements itself; any other needs native code that Penstock does not load."""

_SHOWN_DOMAINS: Final = 5
_UNLISTED: Final = frozenset({MANIFEST, SIGNATURE, SETTINGS, REFERENCE})
"""What a manifest need not list: itself, its signature, and what belongs to who runs the model: settings, and a reference for drift."""
_NATIVE: Final = re.compile(r"\.(so(\.[0-9]+)*|dll|dylib)$", re.IGNORECASE)


def by_name(files: Collection[SourceFile]) -> dict[str, SourceFile]:
    """Return the files of a version by name; raises `BadArtifact` for a name that leads elsewhere or is given twice."""
    named = {file.name: file for file in files}
    if len(named) != len(files):
        raise BadArtifact("the registry lists a file of the version twice")
    for name in named:
        if problem := name_problem(name):
            raise BadArtifact(f"the version holds the file {shown(name)}, whose name {problem}")
    if twice := both_file_and_folder(named):
        raise BadArtifact(f"the version holds {shown(twice)} as a file and as a folder")
    return named


def check_names(manifest: Manifest, present: Collection[str]) -> None:
    """Raise `LoadRefused` unless the manifest lists exactly the files that are there."""
    for name in sorted(set(present) - set(manifest.files) - _UNLISTED):
        raise LoadRefused(f"the file {shown(name)} is not listed in {MANIFEST}; remove it or publish the version again")
    for name in sorted(set(manifest.files) - set(present)):
        raise LoadRefused(f"{MANIFEST} lists the file {shown(name)}, which is not there; publish the version again")


def check_no_native(names: Collection[str]) -> None:
    """Raise `LoadRefused` for a library: no operators come from outside the engine."""
    for name in filter(_NATIVE.search, sorted(names)):
        raise LoadRefused(f"the version holds the native library {shown(name)}; custom operators are not loaded, remove it")


def check_identity(manifest: Manifest, identity: ModelVersion) -> None:
    """Raise `LoadRefused` for a manifest that says it is of another version than the one that it lies in."""
    said = (manifest.model or identity.name, str(manifest.version or identity.version))
    if said != (identity.name, identity.version):
        raise LoadRefused(f"{MANIFEST} is of {said[0]}/{said[1]}, not of {identity}; publish the version under this name and number")


def check_size(name: str, expected: FileDigest, size: int | None) -> None:
    """Raise `LoadRefused` if a file has another size than the manifest says; None fits every size."""
    if size not in (None, expected.size):
        raise LoadRefused(f"{shown(name)} has {size} bytes, {MANIFEST} says {expected.size}")


def check_digest(name: str, expected: FileDigest, seen: FileDigest | None) -> None:
    """Raise `LoadRefused` for a file that is not the one of the manifest."""
    check_size(name, expected, seen.size if seen else 0)
    if seen is None or seen.sha256 != expected.sha256:
        raise LoadRefused(f"the sha256 of {shown(name)} differs from the one in {MANIFEST}; the file was altered")


def graph_name(names: Collection[str], filename: str) -> str:
    """Return the name of the graph: Triton allows a folder in its place. Raises `BadArtifact` if it is missing."""
    for name in (filename, f"{filename}/{PurePosixPath(filename).name}"):
        if name in names:
            return name
    raise BadArtifact(f"the file {filename} is missing from the version's directory")


def data_names(path: Path, name: str) -> dict[str, int]:
    """Return the names of a graph's external data, each with the bytes that it must have at least; reads the graph alone.

    Raises `BadArtifact` for a file that is no graph and for data that are not beside it, `LoadRefused` for unknown operators.
    """
    try:
        graph = scan(path)
    except ValueError as error:
        raise BadArtifact(str(error)) from error
    _check_domains(graph)
    needed: dict[str, int] = {}
    for data in graph.external_data:
        beside = str(PurePosixPath(name).parent / _plain(data.location))
        needed[beside] = max(needed.get(beside, 0), data.offset + (data.length or 0))
    return needed


def check_data(needed: Mapping[str, int], content: Content) -> None:
    """Raise `BadArtifact` for external data that are missing or shorter than the graph says."""
    for name, size in needed.items():
        if name not in content.files:
            raise missing_data(name)
        if content.files[name].size < size:
            raise BadArtifact(f"the external-data file {shown(name)} is shorter than the graph says")


def missing_data(name: str) -> BadArtifact:
    """Return the refusal of a graph whose external data are not there."""
    return BadArtifact(f"the external-data file {shown(name)} is missing beside the model")


def model_digest(content: Content, names: Collection[str]) -> str:
    """Return the sha256 over the names and digests of the graph and its data: the version's identity wherever it lies."""
    lines = (f"{name}\0{content.files[name].sha256}\n" for name in sorted(names))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _check_domains(graph: OnnxGraph) -> None:
    unknown = sorted(graph.domains - KNOWN_DOMAINS - graph.function_domains)
    if unknown:
        some = ", ".join(map(shown, unknown[:_SHOWN_DOMAINS]))
        raise LoadRefused(f"the graph uses operators of unknown domains: {some}; custom operators are not loaded")


def _plain(location: str) -> str:
    """Return a location as a plain relative name; refuse what leads out of the folder. Exporters like to begin with `./`."""
    name = str(PurePosixPath(location))
    if name_problem(name):
        last = shown(PurePosixPath(location).name)
        raise BadArtifact(f"the graph names external data {last} outside the model's directory; only files beside the model are read")
    return name
