"""References are kept by the version's files, and one that cannot be read is as if it were not there."""

from pathlib import Path

import numpy as np
import pytest

from penstock.domain.model import ModelArtifact, ModelVersion
from penstock.lifecycle.reference_store import ReferenceStore
from penstock.monitoring.reference import VersionReference, reference_of

VERSION = ModelVersion("m", "1", "a" * 64)
REFERENCE = VersionReference(inputs=reference_of(["x"], np.random.default_rng(1).random((200, 1))))


def artifact(digest: str = VERSION.digest, reference: Path | None = None) -> ModelArtifact:
    """Return the files of a version."""
    return ModelArtifact(ModelVersion("m", "1", digest), Path("model.onnx"), reference=reference)


def test_reference_is_found_again_for_the_same_files_and_for_no_others(tmp_path: Path) -> None:
    """A version that was published anew under its number gathers anew."""
    ReferenceStore(tmp_path).keep(VERSION, REFERENCE)

    assert ReferenceStore(tmp_path).known(artifact()).kept == REFERENCE
    assert ReferenceStore(tmp_path).known(artifact("b" * 64)).kept == VersionReference()


def test_file_that_was_tampered_with_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a warning; the server starts nevertheless."""
    ReferenceStore(tmp_path).keep(VERSION, REFERENCE)
    (path,) = (tmp_path / "references").iterdir()
    path.write_text(path.read_text().replace('"rows": 200', '"rows": 1'))

    assert ReferenceStore(tmp_path).known(artifact()).kept == VersionReference()
    assert "contradict" in caplog.text


def test_published_reference_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """It keeps no version from being loaded."""
    (tmp_path / "reference.json").write_text("{")

    known = ReferenceStore(None).known(artifact(reference=tmp_path / "reference.json"))

    assert known.published == VersionReference()
    assert known.problem.startswith("reference.json is not used: the reference cannot be read")


def test_disk_that_takes_nothing_costs_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The reference is in force until the server stops."""
    (tmp_path / "references").write_text("no directory")

    ReferenceStore(tmp_path).keep(VERSION, REFERENCE)

    assert "could not be kept" in caplog.text
