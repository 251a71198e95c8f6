"""Files that are looked at again and again."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from penstock.security import reload
from penstock.security.reload import Reloader, Watched


def watched(path: Path, told: list[str]) -> Watched[str]:
    """Watch a file of text; "bad" is no good content."""

    def read() -> str:
        text = path.read_text()
        if text == "bad":
            raise ValueError("it is bad")
        return text

    return Watched("text", [path], read, told.append)


def replace(path: Path, text: str) -> None:
    """Replace a file by rename; the same length and the same instant, so that only the inode differs."""
    before = path.stat()
    draft = path.with_name("draft")
    draft.write_text(text)
    os.utime(draft, ns=(before.st_atime_ns, before.st_mtime_ns))
    draft.replace(path)


def test_replaced_file_is_seen_and_unchanged_one_is_not_read(tmp_path: Path) -> None:
    """Whatever its time says."""
    path, told = tmp_path / "file", list[str]()
    path.write_text("one")
    watch = watched(path, told)
    assert watch.fresh() is None

    replace(path, "two")
    apply = watch.fresh()
    assert apply is not None
    apply()

    assert told == ["two"]
    assert watch.fresh() is None


def test_bad_content_and_a_missing_file_change_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Told once, not at every look; good content that comes later is taken."""
    path, told = tmp_path / "file", list[str]()
    path.write_text("one")
    watch = watched(path, told)

    replace(path, "bad")
    assert watch.fresh() is None
    assert watch.fresh() is None
    path.unlink()
    assert watch.fresh() is None
    path.write_text("two")
    apply = watch.fresh()

    assert apply is not None
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def _outlives(path: Path, told: list[str]) -> None:
    reloader = Reloader()
    reloader.watched.append(watched(path, told))
    reloader.each_time.append(lambda: 1 / 0)
    reloader.start()
    async with asyncio.timeout(20):
        for text in ("two", "six"):
            replace(path, text)
            while text not in told:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.001)
    await reloader.aclose()


def test_looking_outlives_what_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault is logged, and the next change is still seen."""
    monkeypatch.setattr(reload, "_PAUSE_S", 0.001)
    path, told = tmp_path / "file", list[str]()
    path.write_text("one")

    asyncio.run(_outlives(path, told))

    assert told == ["two", "six"]


def test_file_that_cannot_be_read_for_a_moment_is_read_at_the_next_look(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As where all descriptors are taken: a revoked key must not stay valid until its file changes once more."""
    path, told, failures = tmp_path / "file", list[str](), [OSError(24, "too many open files")] * 3
    path.write_text("one")

    def read() -> str:
        if failures:
            raise failures.pop()
        return path.read_text()

    watch = Watched("text", [path], read, told.append)
    replace(path, "two")
    looks = [watch.fresh() for _ in range(3)]
    apply = watch.fresh()
    assert apply is not None
    apply()

    assert looks == [None] * 3
    assert told == ["two"]
    assert [record.levelname for record in caplog.records if record.levelname == "ERROR"] == ["ERROR"]


async def _acts(reloader: Reloader, told: list[str], answers: threading.Event) -> None:
    acted = asyncio.Event()
    reloader.each_time.append(acted.set)
    reloader.start()
    try:
        async with asyncio.timeout(20):
            await acted.wait()
            while not told:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.001)
    finally:
        answers.set()
        await reloader.aclose()


def test_what_befalls_one_file_keeps_nothing_else_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that nobody thought of, and a disk that does not answer: keys still expire, and those that are revoked are gone."""
    monkeypatch.setattr(reload, "_PAUSE_S", 0.001)
    path, told, answers = tmp_path / "file", list[str](), threading.Event()
    path.write_text("one")
    reloader = Reloader()
    reloader.watched += [Watched("odd", [path], lambda: 1 / 0, print), Watched("slow", [path], answers.wait, print), watched(path, told)]
    replace(path, "two")

    asyncio.run(_acts(reloader, told, answers))

    assert told == ["two"]
