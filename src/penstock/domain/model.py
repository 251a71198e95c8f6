"""Models, versions and the files of a version."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ModelArtifact:
    """The verified files of one version, in a local directory."""

    version: ModelVersion
    path: Path
    """The ONNX file; external data lies beside it."""
    size_bytes: int = 0
