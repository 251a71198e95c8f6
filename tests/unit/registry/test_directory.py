"""A directory in Triton's layout, listed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.domain.errors import BadArtifact
from penstock.registry import plain_files
from penstock.registry.directory import DirectorySource
from penstock.registry.source import ModelListing, RegistryUnreachable, Snapshot, SourceFile

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file into the registry."""

    def written(name: str, text: str = "x") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


@pytest.fixture
def look(tmp_path: Path) -> Callable[[], Snapshot]:
    """Return a look at the registry."""
    return DirectorySource(tmp_path).snapshot


@pytest.fixture
def listed(look: Callable[[], Snapshot], write: Write) -> Callable[[], ModelListing]:
    """Return a look at the model `m`, which has version 1."""
    write("m/1/model.onnx", "x")
    return lambda: look().models["m"]


def test_models_and_versions_are_listed(look: Callable[[], Snapshot], write: Write) -> None:
    """Each directory is a model, each number below it a version."""
    for name in ("a/1/model.onnx", "a/10/model.onnx", "b/2/model.onnx"):
        write(name, "x")

    models = look().models

    assert {name: sorted(model.versions) for name, model in models.items()} == {"a": [1, 10], "b": [2]}
    assert models["a"].versions[10].directory.name == "10"
    assert look().ignored == ()


@pytest.mark.parametrize("name", ["0", "01", "abc", "-1", "1.0", "9" * 19, ".tmp-3"])
def test_directory_that_is_no_version_is_ignored_and_reported(look: Callable[[], Snapshot], write: Write, name: str) -> None:
    """A typo in a version does not vanish silently."""
    write("m/1/model.onnx", "x")
    write(f"m/{name}/model.onnx", "x")

    snapshot = look()

    assert list(snapshot.models["m"].versions) == [1]
    assert snapshot.ignored == (f"m/{name}: a version is a number without leading zeros",)


def test_directory_that_cannot_be_a_model_is_ignored_and_reported(look: Callable[[], Snapshot], write: Write) -> None:
    """Names that no URL should carry are not served."""
    write("my model/1/model.onnx", "x")

    snapshot = look()

    assert snapshot.models == {}
    assert snapshot.ignored == ("'my model': not a valid model name",)


@pytest.mark.parametrize("name", [".git/1/x", "README.md", "m/notes.txt"])
def test_hidden_models_and_loose_files_are_ignored(look: Callable[[], Snapshot], write: Write, name: str) -> None:
    """What lies beside models and versions is neither."""
    write("m/1/model.onnx", "x")
    write(name, "x")

    snapshot = look()

    assert {key: list(model.versions) for key, model in snapshot.models.items()} == {"m": [1]}
    assert snapshot.ignored == ()


def test_registry_that_is_gone_is_unreachable(tmp_path: Path) -> None:
    """An error of its own, so that nobody takes it for an empty registry."""
    with pytest.raises(RegistryUnreachable, match="cannot be read"):
        DirectorySource(tmp_path / "gone").snapshot()


def test_model_that_vanishes_during_the_look_is_a_problem_of_its_own(
    look: Callable[[], Snapshot], write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One unreadable model hides no other."""
    write("a/1/model.onnx", "x")
    write("b/1/model.onnx", "x")
    real = os.open

    def opened(path: str, flags: int, *args: object, **where: object) -> int:
        if path == "a":
            raise FileNotFoundError(2, "No such file or directory", str(tmp_path / "a"))
        return real(path, flags, *args, **where)

    monkeypatch.setattr(os, "open", opened)

    models = look().models

    assert models["a"].problem == "a: No such file or directory"
    assert str(tmp_path) not in models["a"].problem
    assert (models["b"].problem, list(models["b"].versions)) == ("", [1])


def test_manifest_makes_a_version_complete(listed: Callable[[], ModelListing], write: Write) -> None:
    """It is written last, so that its presence says that all is there."""
    before = listed().versions[1].complete
    write("m/1/manifest.json", "{}")

    assert (before, listed().versions[1].complete) == (False, True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m/1/model.onnx", "longer"),
        ("m/1/weights.bin", "x"),
        ("m/config.pbtxt", 'backend: "onnxruntime"'),
        ("m/model.toml", "lanes = 2"),
        ("m/1/model.toml", "lanes = 2"),
    ],
)
def test_changed_files_change_the_fingerprint(listed: Callable[[], ModelListing], write: Write, name: str, text: str) -> None:
    """Of the version itself, and of the model's settings; unchanged files keep it."""
    before, again = listed().versions[1].fingerprint, listed().versions[1].fingerprint

    write(name, text)

    assert before == again
    assert listed().versions[1].fingerprint != before


def test_new_time_alone_changes_the_fingerprint(listed: Callable[[], ModelListing], tmp_path: Path) -> None:
    """A file of the same size may hold other weights."""
    before = listed().versions[1].fingerprint

    os.utime(tmp_path / "m/1/model.onnx", ns=(1, 1))

    assert listed().versions[1].fingerprint != before


def test_alias_does_not_change_the_fingerprint(listed: Callable[[], ModelListing], write: Write) -> None:
    """Moving an alias reloads nothing."""
    before = listed().versions[1].fingerprint

    write("m/aliases.json", '{"champion": "1"}')

    assert listed().versions[1].fingerprint == before
    assert listed().aliases == {"champion": 1}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        pytest.param("aliases.json", "{", "Expecting", id="aliases-no-json"),
        pytest.param("aliases.json", '["champion"]', "aliases.json is not an object", id="aliases-a-list"),
        pytest.param("aliases.json", '{"latest": "1"}', "'latest' is not a valid alias", id="alias-reserved"),
        pytest.param("aliases.json", '{"v2": "1"}', "'v2' is not a valid alias", id="alias-like-a-version"),
        pytest.param("aliases.json", '{"a b": "1"}', "'a b' is not a valid alias", id="alias-malformed"),
        pytest.param("aliases.json", '{"a": "01"}', "'a' names '01'", id="alias-of-leading-zero"),
        pytest.param("aliases.json", '{"a": 1.0}', "'a' names 1.0", id="alias-of-float"),
        pytest.param("aliases.json", '{"a": true}', "'a' names True", id="alias-of-bool"),
        pytest.param("aliases.json", '{"a": "b"}', "'a' names 'b'", id="alias-of-alias"),
        pytest.param("aliases.json", "[" * 100_000, "nested too deeply", id="aliases-nested"),
        pytest.param("model.toml", "lanes = ", "model.toml is not valid TOML", id="toml"),
        pytest.param("model.toml", "#" * 1_048_577, "larger than 1048576 bytes", id="toml-huge"),
        pytest.param("config.pbtxt", "name: ", "config.pbtxt, line", id="pbtxt"),
        pytest.param("config.pbtxt", 'name: "other"', "'other' differs from the directory's, 'm'", id="pbtxt-name"),
        pytest.param("config.pbtxt", 'backend: "tensorflow"', "config.pbtxt: backend is not supported", id="pbtxt-backend"),
    ],
)
def test_unreadable_settings_are_a_problem_of_the_model(
    listed: Callable[[], ModelListing], write: Write, name: str, text: str, problem: str
) -> None:
    """It stands in the listing, and the look goes on."""
    write(f"m/{name}", text)

    listing = listed()

    assert problem in listing.problem
    assert list(listing.versions) == [1]


def test_unreadable_settings_of_a_version_are_its_own_problem(listed: Callable[[], ModelListing], write: Write) -> None:
    """Other versions are not touched."""
    write("m/2/model.toml", "=")

    listing = listed()

    assert "model.toml is not valid TOML" in listing.versions[2].problem
    assert (listing.problem, listing.versions[1].problem) == ("", "")


@pytest.mark.parametrize("number", ["3", 3])
def test_alias_may_be_written_as_text_or_number(listed: Callable[[], ModelListing], write: Write, number: object) -> None:
    """Both name version 3."""
    write("m/aliases.json", f'{{"champion": {number if isinstance(number, int) else chr(34) + str(number) + chr(34)}}}')

    assert listed().aliases == {"champion": 3}


def test_model_toml_wins_over_config_pbtxt_key_by_key(listed: Callable[[], ModelListing], write: Write) -> None:
    """Triton's settings are the base, ours the last word; a version's own stand apart."""
    write("m/config.pbtxt", "max_batch_size: 8 instance_group [ { count: 3 kind: KIND_CPU } ]")
    write("m/model.toml", "lanes = 1")
    write("m/1/model.toml", "threads = 2")

    listing = listed()

    assert (listing.settings["lanes"], listing.settings["max_batch_rows"]) == (1, 8)
    assert listing.versions[1].settings == {"threads": 2}


@pytest.mark.parametrize("name", ["labels.txt", "./labels.txt", "labels/names.txt"])
def test_label_file_is_read(listed: Callable[[], ModelListing], write: Write, name: str) -> None:
    """One label per line, by index; it may lie in a folder, and is no other of that name."""
    write("m/config.pbtxt", f'output [ {{ name: "Y" data_type: TYPE_FP32 dims: [3] label_filename: "{name}" }} ]')
    write("m/names.txt", "others\n")
    write(f"m/{name}", "cat\ndog\n")

    listing = listed()

    assert listing.triton is not None
    assert listing.triton.outputs[0].labels == ("cat", "dog")
    assert listing.warnings == ()


@pytest.mark.parametrize("text", [None, ""])
def test_label_file_that_says_nothing_is_told(listed: Callable[[], ModelListing], write: Write, text: str | None) -> None:
    """The model is served all the same."""
    write("m/config.pbtxt", 'output [ { name: "Y" data_type: TYPE_FP32 dims: [3] label_filename: "labels.txt" } ]')
    if text is not None:
        write("m/labels.txt", text)

    listing = listed()

    assert listing.warnings == ("the label file 'labels.txt' of the output 'Y' is missing or empty",)
    assert listing.problem == ""


def test_label_file_outside_the_model_is_refused(listed: Callable[[], ModelListing], write: Write) -> None:
    """No name leads out of the model's directory."""
    write("labels.txt", "secret")
    write("m/config.pbtxt", 'output [ { name: "Y" data_type: TYPE_FP32 dims: [3] label_filename: "../labels.txt" } ]')

    listing = listed()

    assert "leads out of the model's directory" in listing.problem
    assert listing.triton is None or listing.triton.outputs[0].labels == ()


def files_of(root: Path) -> dict[str, SourceFile]:
    """Return the files of version 1 of the model `m`."""
    source = DirectorySource(root)
    model = source.snapshot().models["m"]
    return {file.name: file for file in source.files(model, model.versions[1])}


def test_files_are_told_by_relative_name_and_read_once(write: Write, tmp_path: Path) -> None:
    """Folders included."""
    write("m/1/model.onnx", "graph")
    write("m/1/data/w.bin", "x" * 3_000_000)

    files = files_of(tmp_path)

    assert {name: file.size for name, file in files.items()} == {"data/w.bin": 3_000_000, "model.onnx": 5}
    assert b"".join(files["data/w.bin"].chunks()) == b"x" * 3_000_000


@pytest.mark.parametrize("name", ["m", "m/1"])
def test_linked_folder_is_a_problem(write: Write, tmp_path: Path, name: str) -> None:
    """It may lead anywhere, so nothing in it is read."""
    write(f"elsewhere/{name}/1/model.onnx", "x")
    write("registry/m/2/model.onnx", "x") if name != "m" else (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / name).symlink_to(tmp_path / "elsewhere" / name)

    model = DirectorySource(tmp_path / "registry").snapshot().models["m"]

    problem = model.versions[1].problem if name == "m/1" else model.problem
    assert "is a link; a registry holds folders and files only" in problem


@pytest.mark.parametrize("name", ["model.toml", "config.pbtxt", "aliases.json"])
def test_linked_settings_are_a_problem_and_are_not_read(
    listed: Callable[[], ModelListing], tmp_path: Path, write: Write, name: str
) -> None:
    """A registry's writer must not read the server's files."""
    outside = write("secret.txt", "lanes = 3")
    (tmp_path / "m" / name).symlink_to(outside)

    listing = listed()

    assert (f"'{name}' is a link" in listing.problem, dict(listing.settings)) == (True, {})


def test_pipe_in_place_of_settings_keeps_nobody_waiting(listed: Callable[[], ModelListing], tmp_path: Path) -> None:
    """It has no writer, and an ordinary open would wait for one."""
    os.mkfifo(tmp_path / "m" / "model.toml")

    assert "'model.toml' is no regular file" in listed().problem


@pytest.mark.parametrize("kind", ["link", "dangling", "hard", "pipe"])
def test_version_of_links_or_pipes_has_no_files(listed: Callable[[], ModelListing], tmp_path: Path, write: Write, kind: str) -> None:
    """The refusal names the one."""
    outside = write("secret.txt", "x")
    bad = tmp_path / "m/1/weights.bin"
    listed()
    if kind == "pipe":
        os.mkfifo(bad)
    elif kind == "hard":
        bad.hardlink_to(outside)
    else:
        bad.symlink_to(outside if kind == "link" else "gone")

    words = {"hard": "has another name outside the version", "pipe": "is no regular file"}.get(kind, "is a link")
    with pytest.raises(BadArtifact, match=rf"'weights.bin' {words}"):
        files_of(tmp_path)


def test_hard_link_within_the_version_is_no_way_out(listed: Callable[[], ModelListing], tmp_path: Path) -> None:
    """Both names are of the version."""
    listed()
    (tmp_path / "m/1/again.onnx").hardlink_to(tmp_path / "m/1/model.onnx")

    assert sorted(files_of(tmp_path)) == ["again.onnx", "model.onnx"]


@pytest.mark.parametrize("swap", ["link", "other", "content", "folder", "gone"])
def test_file_that_is_swapped_after_the_listing_is_not_read(write: Write, tmp_path: Path, swap: str) -> None:
    """Each step of the way is opened relative to the one before, and the file must be the one that was listed."""
    listed = write("m/1/data/w.bin", "12345")
    outside = write("outside/w.bin", "99999")
    file = files_of(tmp_path)["data/w.bin"]
    if swap == "folder":
        listed.parent.rename(tmp_path / "moved")
        listed.parent.symlink_to(outside.parent)
    elif swap == "content":
        listed.write_text("1234")
    else:
        listed.unlink()
    if swap == "link":
        listed.symlink_to(outside)
    elif swap == "other":
        listed.write_text("12345")

    with pytest.raises(BadArtifact, match=r"'data/w.bin' (cannot be opened|changed while the version was read)"):
        next(iter(file.chunks()))


def test_file_that_grows_while_it_is_read_is_refused(write: Write, tmp_path: Path) -> None:
    """What was copied so far belongs to no version."""
    listed = write("m/1/model.onnx", "12345")
    chunks = files_of(tmp_path)["model.onnx"].chunks()
    next(chunks)
    listed.write_text("123456")

    with pytest.raises(BadArtifact, match="changed while the version was read"):
        list(chunks)


@pytest.mark.parametrize(("bound", "words"), [("_MAX_FILES", "more than 3 files"), ("_MAX_DEPTH", "nested more than 3 deep")])
def test_endless_version_is_refused(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, words: str) -> None:
    """Listing it must not take all memory."""
    for name in ("a", "b", "c", "1/2/3/4/5/d"):
        write(f"m/1/{name}", "x")
    monkeypatch.setattr(plain_files, bound, 3)

    with pytest.raises(BadArtifact, match=words):
        files_of(tmp_path)
