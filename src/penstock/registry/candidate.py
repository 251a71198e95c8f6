"""The files that are to become a version, where their author has them."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from penstock.domain.errors import BadArtifact
from penstock.domain.names import shown
from penstock.registry.artifact import check_no_native, data_names
from penstock.registry.digester import Digester, digest_of
from penstock.registry.manifest import MANIFEST, MAX_REFERENCE_BYTES, REFERENCE, SIGNATURE, FileDigest
from penstock.registry.model_folder import MAX_SETTINGS_BYTES, SETTINGS, TRITON
from penstock.registry.onnx_graph import OnnxGraph, scan
from penstock.registry.plain_files import NotPlain, files_below, open_plain_file, plain_folder

_CHUNK_BYTES: Final = 4 * 1024 * 1024
_MADE_ANEW: Final = frozenset({MANIFEST, SIGNATURE})
_BESIDE: Final = frozenset({SETTINGS, TRITON, REFERENCE})

Progress = Callable[[int], None]
"""Told how many more bytes are done."""

Watch = Callable[[int], AbstractContextManager[Progress]]
"""Given how many bytes there are, who will be told."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an author wants to publish: the files of one version by the names that they will have, digested once."""

    graph: Path
    """The ONNX file; what it names lies beside it."""
    facts: OnnxGraph
    files: Mapping[str, Path]
    digests: Mapping[str, FileDigest]
    """Of each file: what was checked is what is published, or nothing is."""
    settings: str = ""
    """The text of the version's model.toml."""
    config: str = ""
    """The text of config.pbtxt, which belongs to the model and not to one version."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(digest.size for digest in self.digests.values())

    def with_file(self, name: str, path: Path) -> "Candidate":
        """Return the same with one small file more, or another one of that name; raises OSError."""
        digests = {**self.digests, name: digest_of(_chunks(path))}
        return replace(self, files=dict(sorted({**self.files, name: path}.items())), digests=digests)

    def chunks(self, name: str, progress: Progress) -> Iterator[bytes]:
        """Yield a file's content; raises `BadArtifact` if it cannot be read, and at its end if it is no longer what was checked."""
        digester = Digester()
        try:
            for chunk in digester.through(_chunks(self.files[name])):
                progress(len(chunk))
                yield chunk
        except OSError as error:
            raise BadArtifact(f"the file {name!r} cannot be read any more: {error.strerror}") from error
        if digester.found != self.digests[name]:
            raise BadArtifact(f"the file {name!r} changed while it was published; publish it again when it is whole")


def config_in(path: Path) -> str:
    """Return the text of the config.pbtxt in a directory that is to be published, "" if there is none; raises `BadArtifact`, OSError."""
    config = path / TRITON
    return _text(config) if config.is_file() else ""


def candidate_of(path: Path, graph_name: str, watch: Watch) -> Candidate:
    """Return a model file with its external data, or a directory that holds `graph_name` and no more than a version may.

    `watch` hears of the bytes that are digested. Raises `BadArtifact` with the file and why, `LoadRefused` for operators that no
    engine here has, OSError. Blocks.
    """
    graph = path / graph_name if path.is_dir() else path
    if not graph.is_file():
        raise BadArtifact(f"{path.name!r} is or holds no file {graph_name}; name the model file itself, or give it that name")
    named = {graph_name: graph} | {name: graph.parent / name for name in _external(graph, graph_name)}
    beside = _beside(path, set(named)) if path.is_dir() else {}
    texts = {name: _text(file) for name, file in beside.items()}
    own = {name: file for name, file in beside.items() if name != TRITON}
    files = dict(sorted((named | own).items()))
    with watch(sum(file.stat().st_size for file in files.values())) as progress:
        digests = {name: digest_of(_chunks(file), progress) for name, file in files.items()}
    return Candidate(graph, scan(graph), files, digests, texts.get(SETTINGS, ""), texts.get(TRITON, ""))


def _external(graph: Path, graph_name: str) -> list[str]:
    """Return the names of the external-data files; each is a plain file beside the graph, long enough for what the graph says."""
    needed = data_names(graph, graph_name)
    check_no_native(needed)
    for name, least in needed.items():
        if problem := _missing(graph.parent, name, least):
            raise BadArtifact(f"the external-data file {shown(name)} of {graph.name} {problem}")
    return sorted(needed)


def _missing(folder: Path, name: str, least: int) -> str:
    try:
        descriptor = open_plain_file(folder, PurePosixPath(name).parts)
    except NotPlain as error:
        return f"cannot be taken: {error}"
    except OSError as error:
        return f"cannot be read beside it: {error.strerror}"
    try:
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    return f"has {size} bytes, fewer than the {least} that the graph names" if size < least else ""


def _beside(directory: Path, named: set[str]) -> dict[str, Path]:
    """Return the settings and the reference beside the graph; anything else that is not hidden is refused: no version may hold it."""
    try:
        with plain_folder(directory) as folder:
            found = {file.name for file in files_below(folder) if not file.name.startswith(".")}
    except NotPlain as error:
        raise BadArtifact(f"{directory.name!r} cannot be published: {error}") from error
    if extra := sorted(found - named - _MADE_ANEW - _BESIDE):
        raise BadArtifact(
            f"{directory.name!r} holds files that the model does not name: {', '.join(map(shown, extra[:5]))}; remove them, or publish the "
            "model file itself"
        )
    return {name: directory / name for name in sorted(_BESIDE & found)}


def _text(path: Path) -> str:
    most = MAX_REFERENCE_BYTES if path.name == REFERENCE else MAX_SETTINGS_BYTES
    if path.stat().st_size > most:
        raise BadArtifact(f"{path.name} is larger than {most} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadArtifact(f"{path.name} is not text in UTF-8") from error


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
