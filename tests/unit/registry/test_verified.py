"""Any source, with every byte verified on a private copy."""

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from penstock.domain.errors import LoadRefused, Unavailable
from penstock.domain.model import ModelArtifact
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.manifest import MAX_REFERENCE_BYTES, FileDigest, Manifest
from penstock.registry.options import RegistryOptions
from penstock.registry.source import ModelListing, ReadOnlyRegistry, RegistryUnreachable, Snapshot, SourceFile, VersionListing
from penstock.registry.verified import VerifiedRegistry


class Moody(DirectorySource):
    """A directory that is sometimes out of reach, and counts how often files are asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.down = False
        self.fetched = 0

    def snapshot(self) -> Snapshot:
        """Return what is there, if the source is in reach."""
        self._check()
        return super().snapshot()

    def files(self, model: ModelListing, version: VersionListing) -> Sequence[SourceFile]:
        """Return the files, if the source is in reach."""
        self._check()
        self.fetched += 1
        return super().files(model, version)

    def set_alias(self, model: str, alias: str, number: int | None) -> None:
        """Refuse."""
        raise ReadOnlyRegistry("not here")

    def _check(self) -> None:
        if self.down:
            raise RegistryUnreachable("the registry is away")


@pytest.fixture
def source(tmp_path: Path, models: ModuleType) -> Moody:
    """Return a source of versions 1 and 2 of `tagged`, with config.pbtxt, settings, an alias and a hint of lineage."""
    root = tmp_path / "registry"
    for number in (1, 2):
        models.write_tagged(root, number)
    models.write_configured(root)
    (root / "tagged" / "aliases.json").write_text('{"champion": "1"}')
    (root / "tagged" / "2" / "model.toml").write_text("when = 2026-01-01\nthreads = 1\n")
    return Moody(root)


def registry_over(source: Moody, limit_bytes: int = 1 << 30) -> VerifiedRegistry:
    """Return the registry of a server that has just been started, beside the source."""
    return VerifiedRegistry(source, Cache(source.root.with_name("cache"), limit_bytes))


def opened(registry: VerifiedRegistry, number: int = 1, name: str = "tagged") -> ModelArtifact:
    """Return a version of a model as it is listed now."""
    model = registry.snapshot().models[name]
    return registry.open(model, model.versions[number])


def test_artifact_lies_in_the_cache_and_tells_its_origin(source: Moody) -> None:
    """A session never sees the source."""
    artifact = opened(registry_over(source))

    assert artifact.path.is_relative_to(source.root.with_name("cache"))
    assert artifact.origin == source.root.as_uri()
    assert (str(artifact.version), artifact.signer) == ("tagged/1", "")


def test_unchanged_version_is_fetched_once(source: Moody) -> None:
    """Also by the next start; a changed one is fetched again."""
    opened(registry_over(source)).close()
    again = opened(registry_over(source))
    before = source.fetched

    (source.root / "tagged/1/model.onnx").write_bytes((source.root / "tagged/2/model.onnx").read_bytes())
    changed = opened(registry_over(source))

    assert (before, source.fetched) == (1, 2)
    assert changed.version.digest != again.version.digest


def test_damaged_copy_is_fetched_again(source: Moody) -> None:
    """Nobody is served by bytes that have changed since they were verified."""
    artifact = opened(registry_over(source))
    artifact.close()
    artifact.path.chmod(0o600)
    artifact.path.write_bytes(b"?" + artifact.path.read_bytes()[1:])

    again = opened(registry_over(source))

    assert source.fetched == 2
    assert again.path.read_bytes() == (source.root / "tagged/1/model.onnx").read_bytes()


def test_files_that_changed_since_they_were_listed_are_refused(source: Moody) -> None:
    """So that no copy is ever remembered for files that it was not made of."""
    registry = registry_over(source)
    model = registry.snapshot().models["tagged"]
    (source.root / "tagged/1/more.bin").write_bytes(b"x")

    with pytest.raises(Exception, match="changed since they were listed"):
        registry.open(model, model.versions[1])

    assert opened(registry).path.is_file()


def test_closed_artifact_may_go_and_an_open_one_may_not(source: Moody) -> None:
    """Even a version that is larger than the cache may be is served."""
    registry = registry_over(source, limit_bytes=1)
    first, second = opened(registry, 1), opened(registry, 2)

    first.close()

    assert (first.path.exists(), second.path.exists()) == (False, True)


def test_start_without_the_source_serves_what_the_cache_holds(source: Moody, caplog: pytest.LogCaptureFixture) -> None:
    """Settings, aliases and all, and says so once; what it does not hold is not offered."""
    opened(registry_over(source), 2).close()
    seen = source.snapshot().models
    source.down = True
    registry = registry_over(source)

    with caplog.at_level(logging.WARNING):
        snapshot, again = registry.snapshot(), registry.snapshot()

    model = snapshot.models["tagged"]
    assert (snapshot.stale, again) == (True, snapshot)
    assert (list(model.versions), model.aliases, model.triton, model.problem) == ([2], {"champion": 1}, None, "")
    assert model.versions[2].fingerprint == seen["tagged"].versions[2].fingerprint
    assert opened(registry, 2).path.is_file()
    assert [record.message for record in caplog.records] == [
        "the registry is away; what the cache holds is served as it was last seen, until the registry can be read"
    ]
    configured = next(listing for listing in snapshot.models.values() if listing.triton)
    assert configured.triton == seen[configured.name].triton
    assert (dict(configured.versions), "the cache holds no version" in configured.problem) == ({}, True)


def test_odd_name_costs_no_other_version_its_start_without_the_source(source: Moody, caplog: pytest.LogCaptureFixture) -> None:
    """A name that is no text, of a file or a folder: told, and the others are served."""
    root = source.root
    (root / "tagged" / os.fsdecode(b"caf\xe9")).mkdir()
    (root / "tagged" / "2" / os.fsdecode(b"caf\xe9.txt")).write_text("")
    opened(registry_over(source)).close()
    source.down = True

    snapshot = registry_over(source).snapshot()

    assert list(snapshot.models["tagged"].versions) == [1]
    assert caplog.text.count("not all of the model tagged would serve after a start without the registry") == 1


def test_source_that_comes_back_is_read_again(source: Moody) -> None:
    """From then on, losing it again is for the caller to know: what is loaded stays loaded."""
    opened(registry_over(source)).close()
    registry = registry_over(source)
    source.down = True
    before = registry.snapshot().stale
    source.down = False
    after = registry.snapshot()
    source.down = True

    assert (before, after.stale, sorted(after.models["tagged"].versions)) == (True, False, [1, 2])
    with pytest.raises(RegistryUnreachable):
        registry.snapshot()


def test_start_without_source_and_cache_is_an_error(source: Moody) -> None:
    """Another registry's snapshot is none of this one's."""
    registry_over(Moody(source.root / "tagged")).snapshot()
    source.down = True

    with pytest.raises(RegistryUnreachable, match="is away"):
        registry_over(source).snapshot()


def test_source_that_is_lost_during_a_load_can_be_tried_again(source: Moody) -> None:
    """Nothing is wrong with the version."""
    registry = registry_over(source)
    model = registry.snapshot().models["tagged"]
    source.down = True

    with pytest.raises(Unavailable, match=r"tagged/1 cannot be fetched now: the registry is away"):
        registry.open(model, model.versions[1])


def test_full_disk_gives_up_what_is_unused_before_it_gives_up(source: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound may be larger than the disk."""
    registry = registry_over(source)
    unused = opened(registry, 1)
    unused.close()
    real = os.fsync

    def full(descriptor: int) -> None:
        if unused.path.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)

    assert opened(registry, 2).path.is_file()


def test_full_disk_with_nothing_to_give_up_is_told(source: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says what to do, and names no path."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/secret")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(LoadRefused) as refused:
        opened(registry_over(source))

    assert "No space left on device; free space, or set registry.cache_dir" in refused.value.message
    assert "/" not in refused.value.message.replace("tagged/1", "")


def test_rules_of_now_hold_for_copies_of_before(source: Moody) -> None:
    """What was let in without a manifest is refused once one is required."""
    opened(registry_over(source)).close()
    strict = VerifiedRegistry(source, Cache(source.root.with_name("cache")), RegistryOptions(require_manifest=True))

    with pytest.raises(LoadRefused, match="require_manifest"):
        opened(strict)


def test_cache_that_is_cleared_while_it_is_in_use_is_made_anew(source: Moody, tmp_path: Path) -> None:
    """What was open is given back without complaint, and the next version is fetched as ever and remembered."""
    registry = registry_over(source)
    held = opened(registry, 1)
    shutil.rmtree(tmp_path / "cache")
    held.close()
    again = opened(registry, 2)
    again.close()
    shutil.rmtree(tmp_path / "cache")

    assert opened(registry, 1).path.is_file()
    assert opened(registry, 2).path.is_file()
    fetched = source.fetched
    assert opened(registry, 2).path.is_file()
    assert source.fetched == fetched


def test_cache_that_cannot_be_used_any_more_is_told(source: Moody, tmp_path: Path) -> None:
    """A file in its place: each load says what is wrong, and what was open is given back."""
    registry = registry_over(source)
    held = opened(registry, 1)
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("")
    held.close()

    with pytest.raises(LoadRefused, match="cannot be copied into the cache"):
        opened(registry, 2)


def test_alias_is_moved_where_the_models_come_from(source: Moody) -> None:
    """Whatever the source says of it is passed on."""
    with pytest.raises(ReadOnlyRegistry, match="not here"):
        registry_over(source).set_alias("tagged", "champion", 2)


def test_reference_that_was_added_later_comes_along_whether_or_not_a_manifest_lists_it(source: Moody) -> None:
    """It belongs to who runs the model, as settings do; a version that has none tells so."""
    (source.root / "tagged/1/reference.json").write_text("{}")
    before, after = opened(registry_over(source), 2), opened(registry_over(source), 1)
    _publish_by_hand(source.root / "tagged/2")
    (source.root / "tagged/2/reference.json").write_text("{}")

    listed = opened(registry_over(source), 2)

    assert before.reference is None
    for artifact in (after, listed):
        assert artifact.reference is not None
        assert (artifact.reference.read_text(), artifact.reference.is_relative_to(source.root)) == ("{}", False)


def test_reference_that_is_too_large_keeps_no_version_from_being_loaded(source: Moody) -> None:
    """Nothing of it is copied."""
    (source.root / "tagged/1/reference.json").write_bytes(b" " * (MAX_REFERENCE_BYTES + 1))

    assert opened(registry_over(source)).reference is None


def _publish_by_hand(version: Path) -> None:
    """Write a manifest of the graph alone."""
    graph = (version / "model.onnx").read_bytes()
    entry = FileDigest(hashlib.sha256(graph).hexdigest(), len(graph))
    (version / "manifest.json").write_bytes(Manifest(files={"model.onnx": entry}).encode())
