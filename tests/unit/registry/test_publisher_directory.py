"""Publishing into a directory: numbers, drafts, and what is left when something goes wrong."""

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from types import ModuleType

import pytest

from penstock.domain.errors import BadArtifact, LoadRefused, NotFound
from penstock.registry import publish_directory
from penstock.registry.aliases import LOCK
from penstock.registry.cache import Cache
from penstock.registry.candidate import Candidate, candidate_of
from penstock.registry.directory import DirectorySource
from penstock.registry.manifest import Manifest
from penstock.registry.model_folder import with_config
from penstock.registry.publish_directory import DirectoryPublisher
from penstock.registry.publisher import Labels, manifest_of, publish, same_version
from penstock.registry.source import ModelListing, ReadOnlyRegistry
from penstock.registry.verified import VerifiedRegistry

Publish = Callable[..., int]
DAY_S = 24 * 3600


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty registry."""
    (tmp_path / "registry").mkdir()
    return tmp_path / "registry"


@pytest.fixture
def candidate(tmp_path: Path, models: ModuleType) -> Candidate:
    """Return a model with external data and settings."""
    models.write_with_weights_file(tmp_path / "build")
    (tmp_path / "build" / "model.toml").write_text("lanes = 1")
    return candidate_of(tmp_path / "build", "model.onnx", lambda _total: nullcontext(lambda _bytes: None))


@pytest.fixture
def published(root: Path, candidate: Candidate) -> Publish:
    """Return what publishes the candidate as the next version of `m`."""
    return lambda labels=None: publish(DirectoryPublisher(root), "m", candidate, labels or Labels(), lambda _bytes: None)


def hidden(root: Path) -> list[str]:
    """Return the names of what readers pass over."""
    return sorted(entry.name for entry in (root / "m").iterdir() if entry.name.startswith("."))


def test_version_is_whole_and_loads(root: Path, published: Publish, tmp_path: Path) -> None:
    """The manifest says what there is, and every byte is what it says."""
    number = published(Labels(tags={"stage": "test"}, lineage={"commit": "4f2a91c"}))

    source = DirectorySource(root)
    model = source.snapshot().models["m"]
    version = model.versions[number]
    manifest = manifest_of(source, model, version)
    artifact = VerifiedRegistry(source, Cache(tmp_path / "cache")).open(model, version)
    assert manifest is not None
    assert (number, version.complete, version.problem, version.settings) == (1, True, "", {"lanes": 1})
    assert (manifest.model, manifest.version, sorted(manifest.files)) == ("m", 1, ["model.onnx", "model.toml", "weights.bin"])
    assert (manifest.tags, manifest.lineage, manifest.opsets) == ({"stage": "test"}, {"commit": "4f2a91c"}, {"ai.onnx": 17})
    assert (artifact.tags, artifact.lineage) == (manifest.tags, manifest.lineage)
    artifact.close()
    assert hidden(root) == []


def test_numbers_go_on_and_are_never_used_twice(root: Path, published: Publish) -> None:
    """Not even after the highest version was deleted: logs and records still speak of it."""
    numbers = [published(), published()]
    DirectoryPublisher(root).delete("m", 2)

    assert [*numbers, published()] == [1, 2, 3]
    assert sorted(DirectorySource(root).snapshot().models["m"].versions) == [1, 3]
    assert list((root / "m" / ".deleted-2").iterdir()) == []


def test_whatever_lies_under_a_number_counts(root: Path, published: Publish) -> None:
    """A half-copied directory or a file of that name is not written over."""
    (root / "m" / "4").mkdir(parents=True)
    (root / "m" / "7").write_text("not even a directory")

    assert published() == 8
    assert (root / "m" / "7").read_text() == "not even a directory"


def test_number_that_is_taken_in_the_last_moment_is_left_alone(root: Path, candidate: Candidate) -> None:
    """The loser of a race takes the next number, and its manifest says that one."""

    def last(number: int) -> Mapping[str, bytes]:
        if number < 3:  # another publisher is faster, twice
            (root / "m" / str(number)).mkdir()
            (root / "m" / str(number) / "model.onnx").write_text("theirs")
        return {"manifest.json": Manifest(files=candidate.digests, model="m", version=number).encode()}

    number = DirectoryPublisher(root).place("m", candidate, last, lambda _: None)

    assert number == 3
    assert Manifest.decode((root / "m" / "3" / "manifest.json").read_bytes()).version == 3
    assert (root / "m" / "1" / "model.onnx").read_text() == "theirs"


def test_many_publishers_at_once_get_a_version_each(root: Path, candidate: Candidate) -> None:
    """And every one of them is whole."""
    barrier, numbers = Barrier(8), []

    def work() -> None:
        barrier.wait()
        numbers.extend(publish(DirectoryPublisher(root), "m", candidate, Labels(), lambda _: None) for _ in range(5))

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    source = DirectorySource(root)
    model = source.snapshot().models["m"]
    assert sorted(numbers) == sorted(model.versions) == list(range(1, 41))
    assert all(
        manifest.version == number for number, version in model.versions.items() if (manifest := manifest_of(source, model, version))
    )
    assert hidden(root) == []


def test_failure_leaves_nothing(root: Path, candidate: Candidate, published: Publish) -> None:
    """A file that changed under the publisher, for one."""
    path = candidate.files["weights.bin"]
    path.write_bytes(b"\0" * path.stat().st_size)

    with pytest.raises(BadArtifact, match="changed while it was published"):
        published()

    assert hidden(root) == []
    assert DirectorySource(root).snapshot().models["m"].versions == {}


def test_drafts_of_the_dead_are_removed_when_they_are_old(root: Path, published: Publish) -> None:
    """One that is written to may be another publisher's."""
    for name, age_s in (("old", DAY_S + 60), ("fresh", DAY_S - 60)):
        draft = root / "m" / f".draft-{name}" / "deep"
        draft.mkdir(parents=True)
        (draft / "model.onnx").write_text("half")
        for path in (draft / "model.onnx", draft, draft.parent):
            os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    snapshot = DirectorySource(root).snapshot()

    published()

    assert hidden(root) == [".draft-fresh"]
    assert (snapshot.models["m"].versions, snapshot.ignored) == ({}, ())


def test_one_fresh_file_keeps_a_draft(root: Path, published: Publish) -> None:
    """A large file may be copied for days, while the folder itself stays as it was."""
    draft = root / "m" / ".draft-long"
    draft.mkdir(parents=True)
    (draft / "weights.bin").write_text("half")
    os.utime(draft, (1, 1))

    published()

    assert hidden(root) == [".draft-long"]


def test_deletion_that_was_cut_short_is_finished(root: Path, published: Publish) -> None:
    """From the rename on, the version is gone; the next publisher removes its bytes."""
    published()
    (root / "m" / "1").rename(root / "m" / ".deleted-1")
    gone = DirectorySource(root).snapshot().models["m"].versions

    assert published() == 2
    assert gone == {}
    assert list((root / "m" / ".deleted-1").iterdir()) == []


def test_version_that_an_alias_names_is_not_deleted(root: Path, published: Publish) -> None:
    """The message says which aliases those are."""
    number, source = published(), DirectorySource(root)
    source.set_alias("m", "champion", number)
    source.set_alias("m", "blue", number)

    with pytest.raises(LoadRefused, match="version 1 of 'm' is named by the alias blue, champion"):
        DirectoryPublisher(root).delete("m", number)
    (root / "m" / "aliases.json").write_text("{")
    with pytest.raises(BadArtifact, match=r"aliases\.json is not valid JSON"):
        DirectoryPublisher(root).delete("m", number)

    assert list(source.snapshot().models["m"].versions) == [1]


def test_version_that_is_not_there_is_not_deleted(root: Path, published: Publish) -> None:
    """Nor is its number used up."""
    published()

    with pytest.raises(NotFound, match="no version 5 of 'm'"):
        DirectoryPublisher(root).delete("m", 5)
    assert published() == 2


def test_config_comes_with_the_first_version_and_is_never_changed(root: Path, candidate: Candidate) -> None:
    """All versions share it, so that a second one could break the first."""
    publisher = DirectoryPublisher(root)
    first = replace(candidate, config="max_batch_size: 4")
    other = replace(candidate, config="max_batch_size: 8")

    numbers = [publish(publisher, "m", first, Labels(), lambda _: None) for _ in range(2)]
    with pytest.raises(LoadRefused, match=r"the model 'm' has another config\.pbtxt already"):
        publish(publisher, "m", other, Labels(), lambda _: None)

    model = DirectorySource(root).snapshot().models["m"]
    assert (numbers, sorted(model.versions), model.settings["max_batch_rows"]) == ([1, 2], [1, 2], 4)
    assert hidden(root) == [LOCK]


def test_publishing_that_fails_leaves_no_config(root: Path, candidate: Candidate) -> None:
    """Running servers would load every version anew under it."""
    first = replace(candidate, config="max_batch_size: 4")
    candidate.graph.write_bytes(b"changed")
    with pytest.raises(BadArtifact, match="changed while it was published"):
        publish(DirectoryPublisher(root), "m", first, Labels(), lambda _: None)

    assert list((root / "m").iterdir()) == []


def test_config_comes_with_no_later_version(root: Path, candidate: Candidate, published: Publish) -> None:
    """It would change how the versions run that are there; one that came while this one was copied counts too."""
    published()
    with pytest.raises(LoadRefused, match=r"has versions without a config\.pbtxt"):
        publish(DirectoryPublisher(root), "m", replace(candidate, config="max_batch_size: 4"), Labels(), lambda _: None)

    assert sorted(path.name for path in (root / "m").iterdir()) == [LOCK, "1"]


def test_what_is_in_the_way_of_tidying_stops_nobody(root: Path, published: Publish) -> None:
    """A file under a name of ours, and an old small file that a killed publisher has left, which goes."""
    (root / "m").mkdir()
    (root / "m" / ".deleted-7").write_text("")
    for name in (".draft-small", ".draft-new"):
        (root / "m" / name).write_text("")
    os.utime(root / "m" / ".draft-small", (1, 1))

    assert published() == 8
    assert hidden(root) == [".deleted-7", ".draft-new"]


def test_tidying_that_fails_leaves_no_draft(root: Path, published: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason is."""

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(publish_directory, "_tidy", fail)
    with pytest.raises(ReadOnlyRegistry):
        published()

    assert hidden(root) == []


def test_model_with_a_config_is_what_it_will_be(published: Publish, root: Path) -> None:
    """The trial runs under the settings that the version would have: model.toml still wins."""
    published()
    (root / "m" / "model.toml").write_text("lanes = 2")
    model = DirectorySource(root).snapshot().models["m"]

    configured = with_config(model, "max_batch_size: 8 instance_group [ { count: 3 kind: KIND_CPU } ]")

    assert (configured.settings["lanes"], configured.settings["max_batch_rows"], configured.problem) == (2, 8, "")
    assert "config.pbtxt" in with_config(model, "no_such {").problem


def test_very_same_files_are_found(root: Path, candidate: Candidate, published: Publish) -> None:
    """Whatever their tags; and a version without a manifest, or with other bytes of the same size, is not the same."""
    source = DirectorySource(root)
    assert same_version(source, ModelListing("m"), candidate) is None
    published(Labels(tags={"a": "b"}))
    published()
    other = candidate.files["weights.bin"].read_bytes()[::-1]
    (root / "m" / "3").mkdir()
    for name, path in candidate.files.items():
        (root / "m" / "3" / name).write_bytes(other if name == "weights.bin" else path.read_bytes())

    assert same_version(source, source.snapshot().models["m"], candidate) == 2


def test_key_that_cannot_sign_is_told_before_anything_is_written(root: Path, published: Publish, tmp_path: Path) -> None:
    """The registry stays as it was."""
    (tmp_path / "no.pem").write_text("no key")

    with pytest.raises(LoadRefused, match="private key cannot be used"):
        published(Labels(key=tmp_path / "no.pem"))

    assert list(root.iterdir()) == []
