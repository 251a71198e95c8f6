"""One version on its way in: what of it is copied, and what is checked on the private copy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from penstock.domain.errors import LoadRefused
from penstock.domain.model import ModelVersion
from penstock.registry.artifact import (
    by_name,
    check_data,
    check_digest,
    check_identity,
    check_names,
    check_no_native,
    check_size,
    data_names,
    graph_name,
    missing_data,
    model_digest,
)
from penstock.registry.content import Content
from penstock.registry.draft import FILES, Draft
from penstock.registry.manifest import MANIFEST, MAX_MANIFEST_BYTES, MAX_REFERENCE_BYTES, REFERENCE, SIGNATURE, Manifest
from penstock.registry.signing import MAX_SIGNATURE_BYTES, SignaturePolicy
from penstock.registry.source import SourceFile

_FEATURES = "MLmodel"  # no session needs MLflow's file, but it alone names the features in a tensor
_PAPERS = {MANIFEST: MAX_MANIFEST_BYTES, SIGNATURE: MAX_SIGNATURE_BYTES}


class Papers(NamedTuple):
    """What a version brings along to say what it is."""

    manifest: Manifest | None
    signer: str
    """"" where no signature was asked for or proven."""


class Facts(NamedTuple):
    """What the checks of a copy have found."""

    papers: Papers
    graph: str
    """Name of the ONNX file."""
    digest: str
    """sha256 over the graph and its data."""
    size_bytes: int
    """Of the graph and its data."""


@dataclass(frozen=True, slots=True)
class Intake:
    """The rules for one version. Its methods raise `BadArtifact` or `LoadRefused`, naming the file and what is wrong with it."""

    identity: ModelVersion
    filename: str
    """What the ONNX file is called."""
    policy: SignaturePolicy
    require_manifest: bool

    def fill(self, draft: Draft, files: Sequence[SourceFile]) -> Facts:
        """Copy what the version needs, and return what it is.

        The papers come first: what they do not vouch for is not even copied. Without a manifest, a directory may hold anything; then
        only the graph, its data and MLflow's `MLmodel` are taken.
        """
        named = by_name(files)
        for name in _PAPERS.keys() & named.keys():
            draft.copy(named[name], limit=_PAPERS[name])
        papers = self._papers(draft.directory / FILES, draft.content)
        if papers.manifest is None:
            check_no_native(named)
            self._copy_used(draft, named)
        else:
            check_names(papers.manifest, named)
            check_no_native(named)
            _copy_listed(draft, named, papers.manifest)
        _copy_reference(draft, named)
        return self._facts(draft.directory / FILES, draft.content, papers)

    def examine(self, directory: Path, content: Content) -> Facts:
        """Return what a copy is that was made earlier, by the rules of now."""
        return self._facts(directory, content, self._papers(directory, content))

    def _papers(self, directory: Path, content: Content) -> Papers:
        manifest, signature = ((directory / name).read_bytes() if name in content.files else None for name in (MANIFEST, SIGNATURE))
        if manifest is None and self.require_manifest:
            raise LoadRefused(
                f"the version has no {MANIFEST}, and registry.require_manifest is on; publish it with penstock models publish"
            )
        decoded = None if manifest is None else Manifest.decode(manifest)
        if decoded is not None:
            check_identity(decoded, self.identity)
        return Papers(decoded, self.policy.signer(self.identity, manifest, signature))

    def _copy_used(self, draft: Draft, named: Mapping[str, SourceFile]) -> None:
        graph = graph_name(named, self.filename)
        draft.copy(named[graph])
        for name in data_names(draft.path(graph), graph):
            if name not in named:
                raise missing_data(name)
            draft.copy(named[name])
        if _FEATURES in named:
            draft.copy(named[_FEATURES])

    def _facts(self, directory: Path, content: Content, papers: Papers) -> Facts:
        if papers.manifest is not None:
            check_names(papers.manifest, content.files)
            for name, expected in papers.manifest.files.items():
                check_digest(name, expected, content.files.get(name))
        graph = graph_name(content.files, self.filename)
        needed = data_names(directory / graph, graph)
        check_data(needed, content)
        used = {graph, *needed}
        return Facts(papers, graph, model_digest(content, used), sum(content.files[name].size for name in used))


def _copy_reference(draft: Draft, named: Mapping[str, SourceFile]) -> None:
    """Take a reference that no manifest lists: it was added later. One that is too large keeps no version from being loaded."""
    file = named.get(REFERENCE)
    if file is not None and REFERENCE not in draft.content.files and (file.size or 0) <= MAX_REFERENCE_BYTES:
        draft.copy(file, limit=MAX_REFERENCE_BYTES)


def _copy_listed(draft: Draft, named: Mapping[str, SourceFile], manifest: Manifest) -> None:
    for name, expected in manifest.files.items():
        check_size(name, expected, named[name].size)
    for name, expected in manifest.files.items():
        check_digest(name, expected, draft.copy(named[name], limit=expected.size))
