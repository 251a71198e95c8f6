"""Latency tables on disk: what is kept is found, and nothing that lies there can do harm."""

import logging
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.lifecycle import kept_files, latency_store
from penstock.lifecycle.conditions import Conditions
from penstock.lifecycle.latency_store import LatencyStore, MeasuredTable

Under = Callable[..., Conditions]
TABLE = MeasuredTable.of({1: 1000, 64: 9000}, [(1, 1500, 32), (6, 2000, 7), (64, 12000, 0)])
OTHER = MeasuredTable.of({1: 5000}, [(1, 5000, 0)])


def only_file(state_dir: Path) -> Path:
    """Return the one file of the store."""
    (path,) = (state_dir / "latency").iterdir()
    return path


def test_table_that_was_kept_is_found_by_another_process(tmp_path: Path, under: Under) -> None:
    """Both halves of it: what warm-up measured, and what serving has shown."""
    LatencyStore(tmp_path).keep(under(), TABLE)

    found = LatencyStore(tmp_path).find(under())

    assert found == TABLE
    assert found.prior_ns == {1: 1500, 6: 2000, 64: 12000}


def test_file_is_nobody_elses_to_read(tmp_path: Path, under: Under) -> None:
    """Mode 0600, and no draft is left beside it."""
    LatencyStore(tmp_path).keep(under(), TABLE)

    assert stat.S_IMODE(only_file(tmp_path).stat().st_mode) == 0o600


def test_later_table_replaces_the_earlier_one(tmp_path: Path, under: Under) -> None:
    """One file for each key."""
    store = LatencyStore(tmp_path)
    store.keep(under(), TABLE)
    store.keep(under(), OTHER)

    assert store.find(under()) == OTHER
    assert only_file(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "iris"},
        {"digest": "d2"},
        {"device": "cuda:0"},
        {"provider": "CUDAExecutionProvider"},
        {"engine": "1.33.0"},
        {"hardware": "Slow 1000"},
        {"cores": 4},
        {"settings": "others"},
        {"lanes": 1},
        {"threads": 2},
        {"shapes": "X FP32[-1, 5]"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_table_of_other_conditions_is_not_found(tmp_path: Path, under: Under, change: dict[str, object]) -> None:
    """Each field of the key counts."""
    store = LatencyStore(tmp_path)
    store.keep(under(), TABLE)

    assert store.find(under(**change)) is None


def test_file_under_a_foreign_name_is_ignored(tmp_path: Path, under: Under) -> None:
    """A file that was copied by hand says itself what it is for."""
    store = LatencyStore(tmp_path)
    store.keep(under(), OTHER)
    mine = only_file(tmp_path)
    store.keep(under(digest="d2"), TABLE)
    (foreign,) = set((tmp_path / "latency").iterdir()) - {mine}
    foreign.replace(mine)

    assert store.find(under()) is None


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"conditions": {"mod',
    "no object": b"[1, 2]",
    "not UTF-8": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "huge": b" " * 1_000_000,
    "no table": b"{}",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_broken_file_is_ignored_with_a_word_in_the_debug_log(
    tmp_path: Path, under: Under, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a crash or an editor left there."""
    store = LatencyStore(tmp_path)
    store.keep(under(), TABLE)
    only_file(tmp_path).write_bytes(content)

    with caplog.at_level(logging.DEBUG):
        assert store.find(under()) is None

    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"[1,1500,32]", b"[1,-5,32]"), (b"[1,1500,32]", b"[0,1500,32]"), (b"[1,1500,32]", b"[1,1e300,32]"), (b'"64":9000', b'"x":9000')],
    ids=["negative time", "no rows", "no integer", "rows that are no number"],
)
def test_figures_that_cannot_be_are_ignored(tmp_path: Path, under: Under, old: bytes, new: bytes) -> None:
    """A latency model would choke on them."""
    store = LatencyStore(tmp_path)
    store.keep(under(), TABLE)
    path = only_file(tmp_path)
    content = b"".join(path.read_bytes().split())
    assert old in content
    path.write_bytes(content.replace(old, new))

    assert store.find(under()) is None


def test_directory_in_place_of_the_file_is_ignored(tmp_path: Path, under: Under) -> None:
    """It is neither read nor replaced."""
    store = LatencyStore(tmp_path)
    store.keep(under(), TABLE)
    path = only_file(tmp_path)
    path.unlink()
    path.mkdir()

    assert store.find(under()) is None
    store.keep(under(), TABLE)
    assert path.is_dir()


def test_store_that_cannot_be_written_warns_and_goes_on(tmp_path: Path, under: Under, caplog: pytest.LogCaptureFixture) -> None:
    """A full or read-only disk costs a warm-up, not a version."""
    (tmp_path / "latency").write_text("in the way")

    LatencyStore(tmp_path).keep(under(), TABLE)

    assert "could not be kept" in caplog.text


def test_crash_while_writing_leaves_the_old_table(tmp_path: Path, under: Under, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new one comes by rename, once it is whole."""
    store = LatencyStore(tmp_path)
    store.keep(under(), TABLE)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Killed):
        store.keep(under(), OTHER)

    assert store.find(under()) == TABLE
    assert only_file(tmp_path)


def test_readers_beside_a_writer_always_find_a_whole_table(tmp_path: Path, under: Under) -> None:
    """Two servers may share a state directory."""
    store, found = LatencyStore(tmp_path), []
    store.keep(under(), TABLE)
    writer = threading.Thread(target=lambda: [store.keep(under(), OTHER if turn % 2 else TABLE) for turn in range(200)])

    writer.start()
    while writer.is_alive():
        found.append(LatencyStore(tmp_path).find(under()))
    writer.join()

    assert found
    assert all(table in (TABLE, OTHER) for table in found)


def test_oldest_files_go_first(tmp_path: Path, under: Under, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drafts of crashed writers count too."""
    monkeypatch.setattr(latency_store, "_MOST_FILES", 3)
    monkeypatch.setattr(kept_files, "_LOOK_EVERY", 1)
    (tmp_path / "latency").mkdir()
    (tmp_path / "latency" / ".draft").write_text("half")
    os.utime(tmp_path / "latency" / ".draft", (1, 1))
    store = LatencyStore(tmp_path)

    for number in range(5):
        store.keep(under(digest=f"d{number}"), TABLE)
        for path in (tmp_path / "latency").iterdir():  # all of them age, the newest the least
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - 10**9))

    kept = [number for number in range(5) if store.find(under(digest=f"d{number}"))]
    assert kept == [2, 3, 4]
    assert len(list((tmp_path / "latency").iterdir())) == 3


def test_predecessor_is_the_newest_version_that_agrees_and_is_taken_to_be_slower(tmp_path: Path, under: Under) -> None:
    """The same model on the same machine with the same shapes, times 1.5; figures of other models say nothing."""
    store = LatencyStore(tmp_path)
    for age, (change, table) in enumerate([
        ({"model": "iris", "digest": "d9"}, OTHER),
        ({"digest": "d8", "shapes": "X FP32[-1, 9]"}, OTHER),
        ({"digest": "d2"}, TABLE),
        ({"digest": "d1"}, OTHER),
    ]):  # fmt: skip
        store.keep(under(**change), table)
        for path in (tmp_path / "latency").iterdir():
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**9 * (age == 3)))
    path = next(path for path in (tmp_path / "latency").iterdir() if b'"d2"' in path.read_bytes())
    os.utime(path)

    found = store.predecessor(under(digest="d3"))

    assert found is not None
    assert found.prior_ns == {1: 2250, 6: 3000, 64: 18000}
    assert found.idle_ns == {1: 1500, 64: 13500}


def test_first_version_has_no_predecessor(tmp_path: Path, under: Under) -> None:
    """Nor does one of an empty directory."""
    assert LatencyStore(tmp_path).predecessor(under()) is None
