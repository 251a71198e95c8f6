"""What a registry tells, whatever it is made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from penstock.domain.model import ModelArtifact
from penstock.registry.triton import TritonSettings

Fingerprint = tuple[tuple[str, int, int], ...]
"""(name, size in bytes, mtime in ns) of each file: equal fingerprints mean unchanged files."""


@dataclass(frozen=True, slots=True)
class VersionListing:
    """One version as it lies in the registry, not yet read."""

    number: int
    directory: Path
    fingerprint: Fingerprint = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings of this one version."""
    complete: bool = False
    """Whether a manifest, written last, says that all files are there."""
    problem: str = ""
    """Why the version can never be loaded as it is."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What people said of the version, where the registry keeps that outside of the version's files."""
    lineage: Mapping[str, str] = field(default_factory=dict)
    """Where the version comes from, such as a run; kept like the tags."""


@dataclass(frozen=True, slots=True)
class ModelListing:
    """One model as it lies in the registry."""

    name: str
    versions: Mapping[int, VersionListing] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings of the model, config.pbtxt's already below model.toml's."""
    triton: TritonSettings | None = None
    """What config.pbtxt declares."""
    problem: str = ""
    """Why no version of the model can be loaded."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The registry at one moment."""

    models: Mapping[str, ModelListing] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    """One sentence for each thing that looks like a model or a version and is not."""
    stale: bool = False
    """Whether this is what an earlier run of the server has seen, since the registry cannot be read now."""


class RegistryUnreachable(Exception):
    """The registry cannot be read at all; what is loaded stays loaded."""


class ReadOnlyRegistry(Exception):
    """The registry takes no changes from here; the text says who may make them."""


class SourceFile(Protocol):
    """One file of a version where it lies, not yet verified."""

    @property
    def name(self) -> str:
        """Relative to the version, with `/` between folders; as the source tells it, so never trusted."""

    @property
    def size(self) -> int | None:
        """Bytes, where the source tells."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the content once, in pieces of at most a few MiB; raises `RegistryUnreachable` or `BadArtifact`."""


class Source(Protocol):
    """A place where versions lie: a directory, an object store, another registry. Every method blocks."""

    @property
    def uri(self) -> str:
        """What names the source for people and for the cache; without secrets."""

    def snapshot(self) -> Snapshot:
        """Return what is there now; raises `RegistryUnreachable`."""

    def files(self, model: ModelListing, version: VersionListing) -> Sequence[SourceFile]:
        """Return every file of a version, its manifest included; raises `RegistryUnreachable` or `BadArtifact`."""

    def set_alias(self, model: str, alias: str, number: int | None) -> None:
        """Move an alias, or remove it with None.

        Raises `ReadOnlyRegistry`, `RegistryUnreachable`, `NotFound` for a model or version that is not there, `BadArtifact` where
        what is there cannot be read as it is.
        """


class Registry(Protocol):
    """Where models come from. Every method blocks; call it off the event loop."""

    def snapshot(self) -> Snapshot:
        """Return what is there now; raises `RegistryUnreachable`."""

    def open(self, model: ModelListing, version: VersionListing) -> ModelArtifact:
        """Return a version's verified files; raises `BadArtifact` or `LoadRefused` with the reason."""

    def set_alias(self, model: str, alias: str, number: int | None) -> None:
        """Move an alias where the models come from, or remove it with None; raises what `Source.set_alias` raises."""
