"""From a version's directory to verified files: what of it an engine may see, and what is refused with the reason."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from penstock.domain.errors import BadArtifact, LoadRefused, PenstockError
from penstock.domain.model import ModelArtifact
from penstock.registry.cache import Cache
from penstock.registry.directory import DirectorySource
from penstock.registry.options import RegistryOptions
from penstock.registry.verified import VerifiedRegistry

Publish = Callable[..., None]


@pytest.fixture
def version(tmp_path: Path, models: ModuleType) -> Path:
    """Return the directory of a version with a graph and a weights file."""
    models.write_external(tmp_path)
    return tmp_path / "external" / "1"


def entry(path: Path) -> dict[str, object]:
    """Return what a manifest says of a file."""
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}


def opened(version: Path, *, require_manifest: bool = False) -> ModelArtifact:
    """Open the version, by way of an empty cache."""
    source = DirectorySource(version.parent.parent)
    registry = VerifiedRegistry(
        source, Cache(Path(tempfile.mkdtemp(dir=source.root, prefix="."))), RegistryOptions(require_manifest=require_manifest)
    )
    model = source.snapshot().models[version.parent.name]
    return registry.open(model, model.versions[int(version.name)])


@pytest.fixture
def publish(version: Path) -> Publish:
    """Return a function that writes the manifest, with changes."""

    def write(**changes: object) -> None:
        files: dict[str, object] = {name: entry(version / name) for name in ("model.onnx", "weights.bin")}
        for name, change in changes.items():
            key = {"model": "model.onnx", "weights": "weights.bin"}.get(name, name)
            if change is None:
                del files[key]
            else:
                files[key] = {**files.get(key, {}), **change} if isinstance(change, dict) else change  # type: ignore[dict-item]
        (version / "manifest.json").write_text(json.dumps({"files": files}))

    return write


def test_version_without_manifest_is_opened(version: Path) -> None:
    """Its digest covers graph and weights, its size is theirs."""
    artifact = opened(version)

    assert artifact.path.name == "model.onnx"
    assert artifact.path.read_bytes() == (version / "model.onnx").read_bytes()
    assert artifact.size_bytes == sum((version / name).stat().st_size for name in ("model.onnx", "weights.bin"))
    assert (artifact.version.name, artifact.version.version, len(artifact.version.digest)) == ("external", "1", 64)


def test_digest_changes_with_the_weights(version: Path) -> None:
    """The same graph over other weights is another version."""
    before = opened(version).version.digest

    (version / "weights.bin").write_bytes(bytes(16))

    assert opened(version).version.digest != before


def test_folder_in_place_of_the_file_is_opened(tmp_path: Path, models: ModuleType) -> None:
    """Triton allows model.onnx to be a directory of model and weights."""
    models.write_folder(tmp_path)

    artifact = opened(tmp_path / "folder" / "1")

    assert artifact.path.parts[-2:] == ("model.onnx", "model.onnx")
    assert (artifact.path.parent / "weights.bin").is_file()


def test_fitting_manifest_is_accepted(version: Path, publish: Publish) -> None:
    """All files listed, with their sizes and digests; settings need no entry."""
    publish()
    (version / "model.toml").write_text("")

    assert opened(version, require_manifest=True).version.digest == opened(version).version.digest


def test_missing_manifest_is_refused_where_one_is_required(version: Path) -> None:
    """The refusal names the setting."""
    with pytest.raises(LoadRefused, match="require_manifest"):
        opened(version, require_manifest=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"model": {"sha256": "0" * 64}}, "the sha256 of 'model.onnx' differs", id="digest-of-graph"),
        pytest.param({"weights": {"sha256": "0" * 64}}, "the sha256 of 'weights.bin' differs", id="digest-of-weights"),
        pytest.param({"model": {"sha256": "0" * 63}}, "not 64 lower-case hex", id="digest-short"),
        pytest.param({"model": {"sha256": "A" * 64}}, "not 64 lower-case hex", id="digest-upper-case"),
        pytest.param({"model": {"sha256": None}}, "not 64 lower-case hex", id="digest-null"),
        pytest.param({"weights": {"size": 3}}, "'weights.bin' has 16 bytes, manifest.json says 3", id="size"),
        pytest.param({"weights": None}, "the file 'weights.bin' is not listed in manifest.json", id="weights-unlisted"),
        pytest.param({"model": None}, "the file 'model.onnx' is not listed in manifest.json", id="graph-unlisted"),
        pytest.param({"model": "text"}, "is not of the form", id="entry-no-object"),
    ],
)
def test_manifest_that_differs_from_the_files_is_refused(version: Path, publish: Publish, changes: dict[str, object], words: str) -> None:
    """The refusal names the file and what differs."""
    publish(**changes)

    with pytest.raises(LoadRefused) as refused:
        opened(version)

    assert words in refused.value.message


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": []}', '{"files": null}', "{", "\xff"], ids=repr)
def test_malformed_manifest_is_refused_with_its_form(version: Path, text: str) -> None:
    """Whatever it is, it is not taken for none."""
    (version / "manifest.json").write_text(text, encoding="latin-1")

    with pytest.raises(LoadRefused, match="is not of the form"):
        opened(version)


def test_file_that_the_manifest_does_not_list_is_refused(version: Path, publish: Publish) -> None:
    """Nothing lies beside a published version."""
    publish()
    (version / "extra.bin").write_bytes(b"x")

    with pytest.raises(LoadRefused, match=r"'extra.bin' is not listed"):
        opened(version)


@pytest.mark.parametrize("name", ["ops.so", "lib/libops.so.1.2", "OPS.DLL", "ops.dylib"])
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "without-manifest"])
def test_native_library_is_refused(version: Path, publish: Publish, name: str, listed: bool) -> None:
    """Custom operators are not loaded, so whoever brings one is told."""
    (version / name).parent.mkdir(exist_ok=True)
    (version / name).write_bytes(b"x")
    if listed:
        publish(**{name: entry(version / name)})

    with pytest.raises(LoadRefused, match=f"native library '{name}'"):
        opened(version)


def test_other_files_are_left_alone_without_a_manifest(version: Path) -> None:
    """A directory may hold anything; only the graph and its data are copied, and no name of the rest is an error."""
    (version / "README.md").write_text("x")

    assert sorted(path.name for path in opened(version).path.parent.iterdir()) == ["model.onnx", "weights.bin"]


@pytest.mark.parametrize(
    ("said", "words"), [({"model": "other"}, "is of other/1, not of external/1"), ({"version": 2}, "is of external/2")]
)
def test_manifest_of_another_version_is_refused(version: Path, publish: Publish, said: dict[str, object], words: str) -> None:
    """A copied manifest proves nothing about the place that it was copied to."""
    publish()
    manifest = version / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **said}))

    with pytest.raises(LoadRefused, match=words):
        opened(version)


def test_location_with_a_leading_dot_is_the_file_beside(tmp_path: Path, broken: ModuleType) -> None:
    """Exporters write it so."""
    directory = broken.write_version(tmp_path, "dot", broken.with_data_at("./weights.bin"))
    (directory / "weights.bin").write_bytes(bytes(16))

    assert opened(directory).size_bytes == (directory / "model.onnx").stat().st_size + 16


@pytest.mark.parametrize("name", ["gone.bin", "../external/1/weights.bin", "/etc/hostname"])
def test_listed_file_that_is_not_beside_the_model_is_refused(version: Path, publish: Publish, name: str) -> None:
    """Neither a missing file nor one elsewhere."""
    publish(**{name: {"sha256": "0" * 64, "size": 1}})

    with pytest.raises(PenstockError):
        opened(version)


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("missing_model", BadArtifact, "model.onnx is missing"),
        ("empty", BadArtifact, "it is empty"),
        ("truncated", BadArtifact, "not a readable ONNX model"),
        ("text", BadArtifact, "looks like text"),
        ("zip", BadArtifact, "a zip archive"),
        ("pickle", BadArtifact, "a pickle"),
        ("missing_data", BadArtifact, "'weights.bin' is missing"),
        ("short_data", BadArtifact, "'weights.bin' is shorter"),
        ("absolute_data", BadArtifact, "only files beside the model"),
        ("parent_data", BadArtifact, "only files beside the model"),
        ("unknown_domain", LoadRefused, "unknown domains: 'com.example'"),
    ],
)
def test_broken_version_is_refused_before_any_engine_sees_it(
    tmp_path: Path, broken: ModuleType, kind: str, error: type[Exception], words: str
) -> None:
    """The refusal says what is wrong with the files."""
    directory = broken.broken_versions(tmp_path)[kind]

    with pytest.raises(error) as refused:
        opened(directory)

    assert words in str(refused.value)


def test_external_data_behind_a_link_is_refused(version: Path, tmp_path: Path) -> None:
    """A link may lead anywhere."""
    elsewhere = tmp_path / "secret.bin"
    elsewhere.write_bytes(bytes(16))
    (version / "weights.bin").unlink()
    (version / "weights.bin").symlink_to(elsewhere)

    with pytest.raises(BadArtifact, match=r"'weights.bin' is a link"):
        opened(version)


@pytest.mark.parametrize("link", ["directory", "file"])
def test_external_data_behind_a_linked_directory_is_refused(tmp_path: Path, broken: ModuleType, link: str) -> None:
    """Nor may a directory on the way be a link."""
    outside, directory = tmp_path / "outside", tmp_path / "m" / "1"
    outside.mkdir()
    (outside / "w.bin").write_bytes(bytes(16))
    directory.mkdir(parents=True)
    (directory / "model.onnx").write_bytes(broken.with_data_at("sub/w.bin"))
    if link == "directory":
        (directory / "sub").symlink_to(outside)
    else:
        (directory / "sub").mkdir()
        (directory / "sub" / "w.bin").symlink_to(outside / "w.bin")

    with pytest.raises(BadArtifact):
        opened(directory)
