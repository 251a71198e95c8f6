"""Models, versions and the files of a version."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """The identity of what answers, used in logs, metrics, records and answers."""

    name: str
    version: str
    digest: str = ""
    """sha256 over the version's files (hex), or "" as long as they have not been read."""

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def _nothing() -> None:
    """Hold nothing back."""


@dataclass(frozen=True, slots=True)
class ModelArtifact:
    """The verified files of one version, in a local directory that stays as it is until `close`."""

    version: ModelVersion
    path: Path
    """The ONNX file; external data lies beside it."""
    size_bytes: int = 0
    """Of the ONNX file and its external data."""
    origin: str = ""
    """The URI of the registry that the files come from, without secrets. It may name a path of this machine: for logs and records."""
    tags: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, str] = field(default_factory=dict)
    """Where the model comes from: a run, a commit, a data set."""
    signer: str = ""
    """Who signed the version, `sha256:` and the digest of the public key; "" where no signature was asked for or proven."""
    reference: Path | None = None
    """What the version's inputs and outputs looked like when it was published: the file `reference.json`, if it has one."""
    release: Callable[[], None] = field(default=_nothing, repr=False, compare=False)

    def close(self) -> None:
        """Give the files back: they may be removed from now on. Blocks on the disk; a second call does nothing."""
        self.release()
