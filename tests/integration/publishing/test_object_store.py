"""A registry in a bucket, over a real S3 server."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.domain.errors import BadArtifact, LoadRefused, NotFound
from penstock.registry.cache import Cache
from penstock.registry.candidate import Candidate
from penstock.registry.manifest import FileDigest
from penstock.registry.mlflow_artifacts import BucketArtifacts
from penstock.registry.object_store import CLAIM, ObjectStoreSource
from penstock.registry.object_store_bucket import Bucket, StoredObject
from penstock.registry.publish_object_store import ObjectStorePublisher
from penstock.registry.publisher import Labels, publish
from penstock.registry.source import RegistryUnreachable
from penstock.registry.verified import VerifiedRegistry

Published = Callable[..., int]


@pytest.fixture
def root(s3: Any) -> str:
    """Return an empty registry."""
    return str(s3.bucket())


@pytest.fixture
def source(root: str) -> ObjectStoreSource:
    """Return what reads it."""
    return ObjectStoreSource(root)


@pytest.fixture
def publisher(source: ObjectStoreSource) -> ObjectStorePublisher:
    """Return what writes into it."""
    return ObjectStorePublisher(source.bucket)


@pytest.fixture
def published(publisher: ObjectStorePublisher, candidate: Candidate) -> Published:
    """Return what publishes a version."""
    return lambda model="m", labels=None: publish(publisher, model, candidate, labels or Labels(), lambda _: None)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is asked of the store."""
    seen: Counter[str] = Counter()
    for name in ("list", "read", "find", "chunks"):
        monkeypatch.setattr(Bucket, name, _counting(seen, name, getattr(Bucket, name)))
    return seen


def _counting(seen: Counter[str], name: str, real: Callable[..., object]) -> Callable[..., object]:
    def counted(*arguments: object) -> object:
        seen[name] += 1
        return real(*arguments)

    return counted


def test_marks_of_folders_are_no_files(s3: Any, root: str, source: ObjectStoreSource, published: Published, tmp_path: Path) -> None:
    """Consoles and tools leave them, at any depth; a version loads, and what changes in it is seen."""
    published()
    before = source.snapshot().models["m"]
    for folder in ("", "m/", "m/1/"):
        s3.mark_folder(root, folder)

    model = source.snapshot().models["m"]
    VerifiedRegistry(source, Cache(tmp_path / "cache")).open(model, model.versions[1]).close()
    s3.put(root, "m/1/weights.bin", b"other")

    assert model == before
    assert source.snapshot().models["m"].versions[1].fingerprint != model.versions[1].fingerprint


def test_mark_of_a_folder_is_no_artifact(s3: Any, root: str) -> None:
    """Also one whose files all lie deeper; a file may be empty."""
    s3.put(root, "MLmodel", b"x")
    s3.put(root, "code/deep/empty.py", b"")
    s3.put(root, "code-2", b"x")
    for folder in ("", "code/"):
        s3.mark_folder(root, folder)

    assert [file.name for file in BucketArtifacts(root).files()] == ["MLmodel", "code-2", "code/deep/empty.py"]


def test_version_is_whole_and_loads(source: ObjectStoreSource, published: Published, tmp_path: Path) -> None:
    """Its claim is no part of it."""
    number = published(labels=Labels(tags={"stage": "test"}))

    model = source.snapshot().models["m"]
    version = model.versions[number]
    artifact = VerifiedRegistry(source, Cache(tmp_path / "cache")).open(model, version)
    assert (number, version.complete, artifact.tags) == (1, True, {"stage": "test"})
    assert sorted(file.name for file in source.files(model, version)) == ["manifest.json", "model.onnx", "weights.bin"]
    artifact.close()


def test_look_costs_one_listing_and_the_changed_files(
    root: str, source: ObjectStoreSource, published: Published, s3: Any, calls: Counter[str]
) -> None:
    """However many versions there are, and however long nothing happens."""
    for model in ("a", "b"):
        published(model)
        published(model)
        source.set_alias(model, "champion", 2)
    s3.put(root, "a/model.toml", b"lanes = 2")
    calls.clear()

    first, costs = source.snapshot(), dict(calls)
    again = source.snapshot()
    quiet = dict(calls - Counter(costs))
    source.set_alias("b", "champion", 1)
    calls.clear()
    moved = source.snapshot()

    assert (costs, quiet, dict(calls)) == ({"list": 1, "read": 3}, {"list": 1}, {"list": 1, "read": 1})
    assert (first.models["a"].settings, first.models["a"].aliases, first == again) == ({"lanes": 2}, {"champion": 2}, True)
    assert (moved.models["a"], moved.models["b"].aliases) == (first.models["a"], {"champion": 1})


def test_version_without_a_manifest_does_not_exist(root: str, source: ObjectStoreSource, s3: Any, published: Published) -> None:
    """Somebody's copy is told, so that it is not waited for; a publisher's that is under way is not."""
    published()
    s3.put(root, "m/7/model.onnx", b"copied")
    s3.put(root, f"m/8/{CLAIM}", b"")
    s3.put(root, "m/8/model.onnx", b"on its way")
    s3.put(root, "m/08/model.onnx", b"typo")
    s3.put(root, "my model/1/model.onnx", b"typo")
    s3.put(root, "README.md", b"hello")

    snapshot = source.snapshot()

    assert {name: list(model.versions) for name, model in snapshot.models.items()} == {"m": [1]}
    assert sorted(snapshot.ignored) == [
        "'my model': not a valid model name",
        "m/08: a version is a number without leading zeros",
        "m/7: it has no manifest.json; publish its files",
    ]
    assert published() == 9


def test_settings_are_read_as_in_a_directory(root: str, source: ObjectStoreSource, s3: Any, published: Published) -> None:
    """config.pbtxt below model.toml, labels, and a problem for what cannot be read."""
    published()
    s3.put(root, "m/config.pbtxt", b'max_batch_size: 8 output [{name: "Y" data_type: TYPE_FP32 dims: [4] label_filename: "l.txt"}]')
    s3.put(root, "m/l.txt", b"cat\ndog\n")
    s3.put(root, "m/model.toml", b"max_batch_rows = 4")
    model = source.snapshot().models["m"]
    s3.put(root, "m/aliases.json", b"{")
    s3.put(root, "m/model.toml", b"#" * 2_000_000)
    broken = source.snapshot().models["m"]

    assert model.triton is not None
    assert (model.settings["max_batch_rows"], model.triton.outputs[0].labels) == (4, ("cat", "dog"))
    assert "model.toml is larger than 1048576 bytes" in broken.problem
    assert "aliases.json is not valid JSON" in broken.problem
    assert list(broken.versions) == [1]


def test_changed_object_changes_the_fingerprint(root: str, source: ObjectStoreSource, s3: Any, published: Published) -> None:
    """Of equal size, within the same second."""
    published()
    before = source.snapshot().models["m"].versions[1].fingerprint
    size = next(
        file.size
        for file in source.files(source.snapshot().models["m"], source.snapshot().models["m"].versions[1])
        if file.name == "weights.bin"
    )
    s3.put(root, "m/1/weights.bin", bytes(size or 0))

    after = source.snapshot().models["m"].versions[1].fingerprint

    assert [one for one in after if one not in before] == [one for one in after if one[0] == "weights.bin"]


def test_altered_object_is_refused(root: str, source: ObjectStoreSource, s3: Any, published: Published, tmp_path: Path) -> None:
    """By the manifest."""
    published()
    s3.put(root, "m/1/weights.bin", bytes(16))
    model = source.snapshot().models["m"]

    with pytest.raises(LoadRefused, match=r"weights\.bin"):
        VerifiedRegistry(source, Cache(tmp_path / "cache")).open(model, model.versions[1])


def test_version_that_goes_is_told(source: ObjectStoreSource, publisher: ObjectStorePublisher, published: Published) -> None:
    """Between the look and the load."""
    published()
    model = source.snapshot().models["m"]
    files = source.files(model, model.versions[1])
    publisher.delete("m", 1)

    with pytest.raises(BadArtifact, match=r"'model\.onnx' has gone from the registry"):
        list(next(file for file in files if file.name == "model.onnx").chunks())
    with pytest.raises(BadArtifact, match="version 1 of 'm' is no longer in the registry"):
        source.files(model, model.versions[1])


def test_large_files_go_up_and_come_back_in_pieces(
    source: ObjectStoreSource, publisher: ObjectStorePublisher, candidate: Candidate
) -> None:
    """Neither side ever holds the whole of it."""
    content = bytes(range(256)) * 50_000
    source.bucket.upload("m/1/large", (content[start : start + 3_000_000] for start in range(0, len(content), 3_000_000)), len(content))
    pieces = list(source.bucket.chunks("m/1/large"))

    assert b"".join(pieces) == content
    assert max(map(len, pieces)) < len(content)


@pytest.mark.parametrize("size", [16, 20_000_000])
def test_file_that_changes_while_it_is_sent_is_not_published(
    source: ObjectStoreSource, publisher: ObjectStorePublisher, candidate: Candidate, size: int
) -> None:
    """And leaves nothing, whether it goes up at once or in parts."""
    candidate.files["weights.bin"].write_bytes(bytes(size))
    digests = {**candidate.digests, "weights.bin": FileDigest("0" * 64, size)}
    changed = replace(candidate, digests=digests)

    with pytest.raises(BadArtifact, match="changed while it was published"):
        publish(publisher, "m", changed, Labels(), lambda _: None)

    assert source.bucket.list() == []


def test_numbers_are_never_used_twice(source: ObjectStoreSource, publisher: ObjectStorePublisher, published: Published) -> None:
    """The claim of a deleted version stays."""
    published(), published()
    publisher.delete("m", 2)

    assert published() == 3
    assert [found.name for found in source.bucket.list("m/2")] == [f"m/2/{CLAIM}"]
    with pytest.raises(NotFound, match="no version 2 of 'm'"):
        publisher.delete("m", 2)


def test_version_that_an_alias_names_is_not_deleted(
    source: ObjectStoreSource, publisher: ObjectStorePublisher, published: Published
) -> None:
    """The message says which."""
    source.set_alias("m", "champion", published())

    with pytest.raises(LoadRefused, match="version 1 of 'm' is named by the alias champion"):
        publisher.delete("m", 1)

    assert list(source.snapshot().models["m"].versions) == [1]


def test_alias_that_moves_during_a_deletion_brings_the_version_back(
    source: ObjectStoreSource, publisher: ObjectStorePublisher, published: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Between the look at the aliases and the deletion: no alias is left that names nothing."""
    number, real = published(), Bucket.delete

    def late(bucket: Bucket, names: Iterable[str]) -> None:
        monkeypatch.setattr(Bucket, "delete", real)
        source.set_alias("m", "champion", number)
        real(bucket, names)

    monkeypatch.setattr(Bucket, "delete", late)
    with pytest.raises(LoadRefused, match="is named by the alias champion"):
        publisher.delete("m", number)

    model = source.snapshot().models["m"]
    VerifiedRegistry(source, Cache(tmp_path / "cache")).open(model, model.versions[number]).close()


def test_leftovers_of_the_dead_are_removed_when_they_are_old(
    root: str, source: ObjectStoreSource, s3: Any, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their numbers stay used; what is fresh, and what nobody claimed, is somebody's."""
    for number in (1, 2):
        s3.put(root, f"m/{number}/{CLAIM}", b"")
    for number in (1, 2, 3):
        s3.put(root, f"m/{number}/model.onnx", b"half")
    real = Bucket.list
    old = datetime.now(UTC) - timedelta(hours=25)

    def aged(bucket: Bucket, folder: str = "") -> list[StoredObject]:
        return [
            StoredObject(found.name, found.size, found.modified if "/2/" in found.name else old, found.tag)
            for found in real(bucket, folder)
        ]

    monkeypatch.setattr(Bucket, "list", aged)

    assert published() == 4
    left = [found.name for found in source.bucket.list("m") if not found.name.startswith("m/4/")]
    assert left == [f"m/1/{CLAIM}", f"m/2/{CLAIM}", "m/2/model.onnx", "m/3/model.onnx"]


def test_publisher_that_slept_too_long_gives_up(source: ObjectStoreSource, published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """For others may take it for dead by now."""
    clock = iter([0.0, 13 * 3600.0])
    monkeypatch.setattr("penstock.registry.publish_object_store._now_s", lambda: next(clock))

    with pytest.raises(RegistryUnreachable, match="took longer than 12 hours"):
        published()

    assert source.bucket.list() == []


def test_manifest_that_was_written_twice_for_a_lost_answer_is_ours(
    source: ObjectStoreSource, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store has it, and says that there is one."""
    real = Bucket.create

    def repeated(bucket: Bucket, name: str, content: bytes) -> bool:
        return real(bucket, name, content) and not name.endswith("manifest.json")

    monkeypatch.setattr(Bucket, "create", repeated)

    assert published() == 1
    assert list(source.snapshot().models["m"].versions) == [1]


def test_aliases_that_are_moved_at_once_all_move(source: ObjectStoreSource, published: Published) -> None:
    """Each writer reads again what another one has written meanwhile."""
    published()
    names = [f"alias{number}" for number in range(8)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: source.set_alias("m", name, 1), names))

    assert source.snapshot().models["m"].aliases == dict.fromkeys(names, 1)


def test_alias_is_moved_and_removed(root: str, source: ObjectStoreSource, published: Published, s3: Any) -> None:
    """Never to what is not there, and never over what cannot be read."""
    published()
    source.set_alias("m", "champion", 1)
    source.set_alias("m", "champion", None)
    removed = source.snapshot().models["m"].aliases
    s3.put(root, "m/aliases.json", b"{")

    assert removed == {}
    with pytest.raises(BadArtifact, match=r"the aliases cannot be changed: aliases\.json is not valid JSON"):
        source.set_alias("m", "champion", 1)
    with pytest.raises(NotFound, match="no version 9"):
        source.set_alias("m", "champion", 9)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("s3://no-such-bucket-here/prod", "there is no such bucket; create it"),
        ("s3:///prod", "not of the form s3://bucket/prefix"),
        ("s3://key:secret@bucket/prod", "credentials come from the environment"),
        ("az://container/prod", "there are no credentials; set AZURE_STORAGE_ACCOUNT_NAME"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_registry_that_cannot_be_used_says_why(uri: str, words: str) -> None:
    """Without anybody's secrets."""
    with pytest.raises(RegistryUnreachable, match=re.escape(words)) as caught:
        ObjectStoreSource(uri).snapshot()

    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_endpoint_that_is_down_says_so(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few tries."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(RegistryUnreachable, match="its endpoint does not answer; check AWS_ENDPOINT_URL and the network"):
        ObjectStoreSource(root).snapshot()


def test_other_stores_are_known() -> None:
    """Their clients are made; what they would ask is obstore's."""
    assert ObjectStoreSource("gs://bucket/prod").uri == "gs://bucket/prod"
