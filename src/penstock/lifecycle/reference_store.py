"""What a version's inputs and outputs are compared with: published beside its files, or gathered by this server and kept."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.lifecycle.kept_files import KeptFiles
from penstock.monitoring.reference import MOST_BYTES, VersionReference

_log = logging.getLogger(__name__)
_MOST_FILES: Final = 1024
_DIGITS: Final = 16
_NONE: Final = VersionReference()


@dataclass(frozen=True, slots=True)
class References:
    """What is known of one version; empty for what is not."""

    published: VersionReference = _NONE
    kept: VersionReference = _NONE
    problem: str = ""
    """Why the published one cannot be used."""


class ReferenceStore:
    """The references that were gathered, in `<state directory>/references`: by version and digest of the files. Blocks."""

    def __init__(self, state_dir: Path | None) -> None:
        """Without a state directory nothing is kept."""
        self._files = state_dir and KeptFiles(state_dir / "references", VersionReference, _MOST_FILES, MOST_BYTES)

    def known(self, artifact: ModelArtifact) -> References:
        """Return what is known of a version; what cannot be read is told, and is as if it were not there."""
        published, problem = _published(artifact.reference)
        return References(published, self._kept(artifact.version), problem)

    def keep(self, version: ModelVersion, reference: VersionReference) -> None:
        """Replace what was gathered for a version; never raises."""
        if not self._files:
            return
        try:
            self._files.write(_name(version), reference)
        except OSError as error:
            _log.error("the reference of %s could not be kept, a restart will gather another one: %s", version, error)

    def _kept(self, version: ModelVersion) -> VersionReference:
        try:
            found = self._files.read(_name(version)) if self._files else None
            return _NONE if found is None else found.checked()
        except ValueError as error:
            _log.warning("the kept reference of %s is ignored, another one is gathered: %s", version, error)
            return _NONE


def _name(version: ModelVersion) -> str:
    return f"{version.name}-{version.version}-{version.digest[:_DIGITS]}.json"


def _published(path: Path | None) -> tuple[VersionReference, str]:
    if path is None:
        return _NONE, ""
    try:
        with path.open("rb") as file:
            return VersionReference.decode(file.read(MOST_BYTES + 1)), ""
    except (OSError, ValueError) as error:
        return _NONE, f"{path.name} is not used: {error}"
