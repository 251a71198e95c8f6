"""The file of aliases: what it may say, and how it changes."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.domain.errors import BadArtifact, NotFound
from penstock.registry import aliases as file_of_aliases
from penstock.registry.aliases import ALIASES, LOCK, aliases_text, locked, parse_aliases, write_alias
from penstock.registry.directory import DirectorySource
from penstock.registry.plain_files import plain_folder
from penstock.registry.source import ReadOnlyRegistry, RegistryUnreachable


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the directory of a model with the versions 1 to 40."""
    for number in range(1, 41):
        (tmp_path / "m" / str(number)).mkdir(parents=True)
    return tmp_path / "m"


def present(model: Path) -> dict[str, int]:
    """Return what the file says."""
    return parse_aliases((model / ALIASES).read_text())


def test_text_is_read_back_as_it_was_written() -> None:
    """Numbers are text in the file, as people write them."""
    text = aliases_text({"champion": 3, "a": 1})

    assert text == '{\n  "a": "1",\n  "champion": "3"\n}\n'
    assert parse_aliases(text) == {"a": 1, "champion": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[1]", "not an object"),
        ('{"latest": "1"}', "'latest' is not a valid alias"),
        ('{"v2": "1"}', "'v2' is not a valid alias"),
        ('{"a": "x"}', "names 'x', which is not a version number"),
        ('{"a": "01"}', "names '01'"),
        ('{"a": true}', "names True"),
        ('{"a": null}', "names None"),
    ],
)
def test_text_that_is_no_table_of_aliases_says_what_is_wrong(text: str, said: str) -> None:
    """The value that was seen stands in the message."""
    with pytest.raises(ValueError, match=said):
        parse_aliases(text)


@pytest.mark.parametrize("text", ["", "  \n", "{}"])
def test_empty_file_has_no_aliases(text: str) -> None:
    """A file that was made with `touch` is no mistake."""
    assert parse_aliases(text) == {}


def test_alias_is_set_moved_and_removed_beside_the_others(model: Path) -> None:
    """Numbers that people wrote without quotes are kept."""
    (model / ALIASES).write_text('{"old": 1}')
    write_alias(model, "champion", 2)
    first = present(model)
    write_alias(model, "champion", 3)
    second = present(model)
    write_alias(model, "champion", None)

    assert (first, second, present(model)) == ({"old": 1, "champion": 2}, {"old": 1, "champion": 3}, {"old": 1})
    assert sorted(path.name for path in model.iterdir() if not path.is_dir()) == [LOCK, ALIASES]


@pytest.mark.parametrize(("alias", "number"), [("champion", 2), ("gone", None)])
def test_what_is_so_already_is_not_written_again(model: Path, alias: str, number: int | None) -> None:
    """Not a byte: whoever watches the file sees no change."""
    (model / ALIASES).write_text('{ "champion": "2" }')
    before = (model / ALIASES).stat()
    write_alias(model, alias, number)

    after = (model / ALIASES).stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (before.st_ino, before.st_mtime_ns, before.st_ctime_ns)


def test_rights_of_the_file_are_kept(model: Path) -> None:
    """A server that runs as somebody else goes on reading it."""
    (model / ALIASES).write_text("{}")
    (model / ALIASES).chmod(0o640)
    write_alias(model, "champion", 2)

    assert (model / ALIASES).stat().st_mode & 0o777 == 0o640


def test_version_that_is_not_there_is_not_found(model: Path) -> None:
    """And the file stays as it was."""
    with pytest.raises(NotFound, match="no version 99"):
        write_alias(model, "champion", 99)

    assert not (model / ALIASES).exists()


@pytest.mark.parametrize("name", ["gone", "..", "a/b", ""])
def test_model_that_is_not_there_is_not_found(tmp_path: Path, name: str) -> None:
    """A name that leads elsewhere is the name of no model."""
    with pytest.raises(NotFound, match="no model"):
        DirectorySource(tmp_path).set_alias(name, "champion", 1)


def test_registry_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    """Which says nothing about the model."""
    with pytest.raises(RegistryUnreachable, match="No such file"):
        DirectorySource(tmp_path / "gone").set_alias("m", "champion", 1)


@pytest.mark.parametrize("text", ["{", '{"champion": "x"}', "[" * 100_000])
def test_file_that_cannot_be_understood_is_not_written_over(model: Path, text: str) -> None:
    """It may hold aliases of somebody else."""
    (model / ALIASES).write_text(text)
    with pytest.raises(BadArtifact, match="mend or remove the file first"):
        write_alias(model, "champion", 2)

    assert (model / ALIASES).read_text() == text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(13, "Permission denied", "/secret/place"), ReadOnlyRegistry),
        (OSError(30, "Read-only file system", "/secret/place"), ReadOnlyRegistry),
        (OSError(28, "No space left on device", "/secret/place"), RegistryUnreachable),
        (OSError(5, "Input/output error", "/secret/place"), RegistryUnreachable),
    ],
)
@pytest.mark.parametrize("call", ["open", "fsync", "rename"])
def test_failing_disk_is_told_without_paths_and_leaves_the_file(
    model: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, told: type[Exception], call: str
) -> None:
    """Wherever it fails, a reader sees the old aliases whole."""
    (model / ALIASES).write_text('{"champion": "1"}')

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(told) as caught:
        write_alias(model, "champion", 2)

    monkeypatch.undo()
    assert "/secret/place" not in str(caught.value)
    assert present(model) == {"champion": 1}
    write_alias(model, "champion", 2)
    assert present(model) == {"champion": 2}


def test_lock_that_another_user_has_made_is_taken(model: Path) -> None:
    """It can be read alone; root, who may write anything, is somebody else meanwhile."""
    write_alias(model, "champion", 1)
    (model / LOCK).chmod(0o444)
    before = os.geteuid()
    with plain_folder(model) as folder:
        try:
            os.seteuid(before or 65534)
            with locked(folder, "m"):
                pass
        finally:
            os.seteuid(before)

    write_alias(model, "champion", 2)
    assert present(model) == {"champion": 2}


def test_writer_that_waits_in_vain_gives_up(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who holds the lock for ever keeps no thread for ever."""
    clock: Iterator[float] = iter([0.0, 1.0, 99.0])
    monkeypatch.setattr(file_of_aliases, "monotonic", lambda: next(clock))
    monkeypatch.setattr(file_of_aliases, "sleep", lambda _: None)
    with plain_folder(model) as folder, locked(folder, "m"), pytest.raises(RegistryUnreachable, match="another writer"):
        monkeypatch.setattr(file_of_aliases, "monotonic", lambda: next(clock))
        write_alias(model, "champion", 2)


def test_many_writers_lose_nothing(model: Path) -> None:
    """Forty threads set forty aliases; a reader beside them never sees half a file."""
    threads = [threading.Thread(target=write_alias, args=(model, f"a{number}", number)) for number in range(1, 41)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (model / ALIASES).exists():
            present(model)
    for thread in threads:
        thread.join()

    assert present(model) == {f"a{number}": number for number in range(1, 41)}


def test_planted_draft_leads_nowhere(model: Path, tmp_path: Path) -> None:
    """Who may write the registry writes nothing else by way of the server."""
    secret = tmp_path / "admin.token"
    secret.write_text("secret")
    (model / f".{ALIASES}.draft").symlink_to(secret)
    write_alias(model, "champion", 2)

    assert secret.read_text() == "secret"
    assert not (model / ALIASES).is_symlink()
    assert present(model) == {"champion": 2}


@pytest.mark.parametrize("planted", [ALIASES, "."])
def test_link_is_neither_read_nor_written(model: Path, tmp_path: Path, planted: str) -> None:
    """In the place of the file, and in the place of the model; outside nothing changes, not even by a lock."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ALIASES).write_text('{"champion": "1"}')
    victim = tmp_path / "victim" if planted == "." else model
    (victim if planted == "." else model / ALIASES).symlink_to(outside if planted == "." else outside / ALIASES)
    with pytest.raises(BadArtifact, match="is a link"):
        write_alias(victim, "champion", None)

    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [(ALIASES, '{"champion": "1"}')]


def test_pipe_in_place_of_the_file_is_refused_at_once(model: Path) -> None:
    """Its open would wait for a writer for ever, and the lock with it; the next move finds the lock free."""
    os.mkfifo(model / ALIASES)
    refusals: list[str] = []

    def move() -> None:
        with pytest.raises(BadArtifact) as caught:
            write_alias(model, "champion", 2)
        refusals.append(caught.value.message)

    thread = threading.Thread(target=move, daemon=True)
    thread.start()
    thread.join(20)
    assert len(refusals) == 1
    assert "is no regular file" in refusals[0]
    (model / ALIASES).unlink()
    write_alias(model, "champion", 2)

    assert present(model) == {"champion": 2}
