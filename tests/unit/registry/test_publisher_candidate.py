"""What an author may publish: which files belong to a version, and which are refused."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest

from penstock.domain.errors import BadArtifact, LoadRefused
from penstock.registry.candidate import Candidate, candidate_of

Taken = Callable[..., Candidate]


@pytest.fixture
def taken() -> Taken:
    """Return what makes a candidate of a path, unwatched."""
    return lambda path, name="model.onnx": candidate_of(path, name, lambda _total: nullcontext(lambda _bytes: None))


@pytest.fixture
def directory(tmp_path: Path, models: ModuleType) -> Path:
    """Return a directory that holds a model and its external data."""
    models.write_with_weights_file(tmp_path / "build")
    return tmp_path / "build"


def test_file_brings_its_external_data_along(directory: Path, taken: Taken) -> None:
    """The graph gets the name that versions have; what lies beside it and is not named stays where it is."""
    (directory / "model.onnx").rename(directory / "churn-final.onnx")
    (directory / "notes.txt").write_text("mine")

    candidate = taken(directory / "churn-final.onnx")

    assert {name: path.name for name, path in candidate.files.items()} == {"model.onnx": "churn-final.onnx", "weights.bin": "weights.bin"}
    assert candidate.size_bytes == sum(path.stat().st_size for path in candidate.files.values())
    assert dict(candidate.facts.opset_imports) == {"": 17}


def test_directory_brings_its_settings_along(directory: Path, taken: Taken) -> None:
    """model.toml is a file of the version; config.pbtxt is the model's; a manifest of another registry is made anew."""
    for name, text in (
        ("model.toml", "lanes = 1"),
        ("config.pbtxt", "max_batch_size: 4"),
        ("manifest.json", "{}"),
        ("model.sig", "x"),
        (".git", ""),
    ):
        (directory / name).write_text(text)

    candidate = taken(directory)

    assert sorted(candidate.files) == ["model.onnx", "model.toml", "weights.bin"]
    assert (candidate.settings, candidate.config) == ("lanes = 1", "max_batch_size: 4")


def test_directory_may_use_the_name_of_the_models_configuration(directory: Path, taken: Taken) -> None:
    """config.pbtxt can give the graph another name."""
    (directory / "model.onnx").rename(directory / "net.onnx")

    assert sorted(taken(directory, "net.onnx").files) == ["net.onnx", "weights.bin"]
    with pytest.raises(BadArtifact, match=r"'build' is or holds no file model\.onnx"):
        taken(directory)


def test_directory_with_more_than_the_model_needs_is_refused(directory: Path, taken: Taken) -> None:
    """Nobody finds out later that a file was left behind, or published without a use."""
    (directory / "train.csv").write_text("secret")

    with pytest.raises(BadArtifact, match=r"files that the model does not name: 'train\.csv'; remove them"):
        taken(directory)


@pytest.mark.parametrize("name", ["extra.bin", "sub"])
def test_links_are_refused(directory: Path, taken: Taken, name: str) -> None:
    """A link may lead anywhere."""
    (directory / name).symlink_to("/etc" if name == "sub" else "/etc/hostname")

    with pytest.raises(BadArtifact, match=r"extra\.bin|'sub'"):
        taken(directory)


def test_external_data_behind_a_link_are_refused(directory: Path, taken: Taken, tmp_path: Path) -> None:
    """Also where only the file is named."""
    (directory / "weights.bin").rename(tmp_path / "elsewhere")
    (directory / "weights.bin").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadArtifact, match=r"weights\.bin' of model\.onnx cannot be taken: 'weights\.bin' is a link"):
        taken(directory / "model.onnx")


def test_external_data_that_are_missing_or_short_are_refused(directory: Path, taken: Taken) -> None:
    """With the file's name."""
    whole = (directory / "weights.bin").read_bytes()
    (directory / "weights.bin").write_bytes(whole[:-1])

    with pytest.raises(BadArtifact, match=rf"weights\.bin' of model\.onnx has {len(whole) - 1} bytes, fewer than the {len(whole)}"):
        taken(directory)
    (directory / "weights.bin").unlink()
    with pytest.raises(BadArtifact, match="cannot be read beside it: No such file"):
        taken(directory)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname"])
def test_external_data_outside_the_folder_are_refused(tmp_path: Path, broken: ModuleType, taken: Taken, location: str) -> None:
    """The author may not even mean to."""
    (tmp_path / "model.onnx").write_bytes(broken.with_data_at(location))

    with pytest.raises(BadArtifact, match="outside the model's directory"):
        taken(tmp_path / "model.onnx")


def test_what_no_server_would_load_is_refused(tmp_path: Path, broken: ModuleType, taken: Taken) -> None:
    """Whatever stands in the server's way stands in the publisher's."""
    kinds = broken.broken_versions(tmp_path)
    refused = {}
    for kind, version in kinds.items():
        try:
            taken(version / "model.onnx")
        except (BadArtifact, LoadRefused) as error:
            refused[kind] = error.message

    assert {"empty", "text", "zip", "pickle", "unknown_domain"} <= refused.keys(), sorted(kinds)
    assert not any(str(tmp_path) in message for message in refused.values())


def test_file_that_changes_after_the_check_is_not_published(directory: Path, taken: Taken) -> None:
    """What was checked is what is published."""
    candidate = taken(directory)
    (directory / "weights.bin").write_bytes(b"\0" * (directory / "weights.bin").stat().st_size)

    with pytest.raises(BadArtifact, match=r"weights\.bin' changed while it was published"):
        list(candidate.chunks("weights.bin", lambda _: None))


def test_file_that_goes_after_the_check_is_told(directory: Path, taken: Taken) -> None:
    """By its name, without its path."""
    candidate = taken(directory)
    (directory / "weights.bin").unlink()

    with pytest.raises(BadArtifact, match=r"^the file 'weights\.bin' cannot be read any more: No such file or directory$"):
        list(candidate.chunks("weights.bin", lambda _: None))
