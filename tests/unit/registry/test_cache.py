"""Private copies: bounded, shared between processes, and never taken from under a user."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.domain.errors import BadArtifact
from penstock.registry.cache import Cache, HeldCopy
from penstock.registry.cache_index import Place
from penstock.registry.draft import Draft

OTHER = """
import sys
from pathlib import Path
from penstock.registry.cache import Cache

cache = Cache(Path(sys.argv[1]), 0)
if sys.argv[2] == "draft":
    draft = cache._draft()
    (draft.directory / "half").write_bytes(b"x")
else:
    copy = cache.hold(sys.argv[2])
print("there" if sys.argv[2] == "draft" or copy else "gone", flush=True)
sys.stdin.readline()
"""

CROWD = """
import random, sys
from pathlib import Path
from penstock.registry.cache import Cache

class Text:
    def __init__(self, content):
        self.name, self.size, self.content = "a", len(content), content
    def chunks(self):
        yield self.content

chance = random.Random(int(sys.argv[2]))
for turn in range(int(sys.argv[3])):
    cache = Cache(Path(sys.argv[1]), 3_000) if turn % 10 == 0 else cache
    text = Text(bytes([chance.randrange(6)]) * 1_000)
    held = [cache.make(lambda draft: draft.copy(text)) for _ in range(2)]
    held += [copy] if (copy := cache.hold(held[0].content.digest)) else []
    assert len(held) == 3, "a copy in use was removed"
    for copy in held:
        assert (copy.directory / "a").read_bytes() == text.content, "a copy in use was changed"
        copy.close()
print("done")
"""


@dataclass
class Text:
    """A file of a source."""

    name: str
    content: bytes
    size: int | None = None

    def chunks(self) -> Iterator[bytes]:
        """Yield the content byte by byte."""
        for byte in self.content:
            yield bytes([byte])


def filled(*files: Text) -> Callable[[Draft], None]:
    """Return what copies the files into a draft."""

    def fill(draft: Draft) -> None:
        for file in files:
            draft.copy(file)

    return fill


def make(cache: Cache, content: bytes, name: str = "a") -> HeldCopy:
    """Return a copy of one file, in use."""
    return cache.make(filled(Text(name, content)))


def left(directory: Path) -> int:
    """Return how many drafts are there."""
    return len(list((directory / "drafts").iterdir()))


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Return a function that starts a process with the same cache, which holds a copy or begins a draft and waits."""
    started = []

    def start(what: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", OTHER, str(tmp_path), what]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def test_copy_holds_the_bytes_under_their_names(tmp_path: Path) -> None:
    """Folders included; nobody else may read or change them."""
    copy = Cache(tmp_path).make(filled(Text("a", b"12"), Text("b/c", b"3")))

    assert ((copy.directory / "a").read_bytes(), (copy.directory / "b/c").read_bytes()) == (b"12", b"3")
    assert {path.stat().st_mode & 0o777 for path in copy.directory.rglob("*") if path.is_file()} == {0o400}
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert left(tmp_path) == 0


def test_equal_content_is_kept_once(tmp_path: Path) -> None:
    """Wherever it came from."""
    cache = Cache(tmp_path)

    with_same = [make(cache, b"x"), make(cache, b"x")]

    assert with_same[0].directory == with_same[1].directory
    assert (len(list((tmp_path / "versions").iterdir())), left(tmp_path)) == (1, 0)


@pytest.mark.parametrize(("change", "words"), [({"size": 1}, "more than 1 bytes"), ({"size": 3}, "has 2 bytes, the registry announced 3")])
def test_file_of_another_size_than_announced_leaves_nothing(tmp_path: Path, change: dict[str, int], words: str) -> None:
    """A cut or grown transfer is no version."""
    with pytest.raises(BadArtifact, match=words):
        Cache(tmp_path).make(filled(Text("a", b"12", **change)))

    assert (left(tmp_path), list((tmp_path / "versions").iterdir())) == (0, [])


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is the operating system's, for its caller to tell."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left"):
        make(Cache(tmp_path), b"x")

    assert (left(tmp_path), list((tmp_path / "versions").iterdir())) == (0, [])


def test_least_recently_used_goes_first(tmp_path: Path) -> None:
    """Not the first that came; and no more than need be."""
    cache = Cache(tmp_path, limit_bytes=2_500)
    first, second = make(cache, b"1" * 1_000), make(cache, b"2" * 1_000)
    for copy, time in ((first, 1), (second, 2)):
        copy.close()
        os.utime(copy.directory.parent / "lock", ns=(time, time))
    again = cache.hold(first.content.digest)
    assert again is not None
    again.close()

    third = make(cache, b"3" * 1_000)

    assert [cache.has(copy.content.digest) for copy in (first, second, third)] == [True, False, True]


def test_bound_removes_what_is_unused_and_nothing_else(tmp_path: Path) -> None:
    """A copy in use stays however small the bound is, and goes when it is given back."""
    cache = Cache(tmp_path, limit_bytes=0)
    first, second = make(cache, b"1"), make(cache, b"2")

    during = [cache.has(copy.content.digest) for copy in (first, second)]
    second.close()
    second.close()
    after = [cache.has(copy.content.digest) for copy in (first, second)]

    assert (during, after) == ([True, True], [True, False])
    assert (first.directory / "a").read_bytes() == b"1"
    assert left(tmp_path) == 0


def test_copies_are_looked_through_when_enough_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for each, which takes longer the more there are; what was too much and in use is looked for until it is gone."""
    looks = []
    trim = Cache.trim
    monkeypatch.setattr(Cache, "trim", lambda cache: looks.append(cache) or trim(cache))
    cache = Cache(tmp_path, limit_bytes=40_000)
    for number in range(20):
        make(cache, b"%03d" % number).close()
    few = len(looks)
    copies = [make(cache, b"%d" % number * 15_000) for number in range(3)]
    for copy in copies:
        copy.close()

    assert few < 10
    assert sum(path.stat().st_size for path in (tmp_path / "versions").rglob("*") if path.is_file()) <= 40_000
    assert cache.has(copies[-1].content.digest)


def test_forgotten_copy_is_held_by_nobody(tmp_path: Path) -> None:
    """A load that was abandoned must not pin its copy."""
    cache = Cache(tmp_path)
    digest = make(cache, b"1").content.digest

    assert cache.trim(0)
    assert not cache.has(digest)


@pytest.mark.parametrize("damage", ["bit", "cut", "gone", "list"])
def test_damaged_copy_is_dropped(tmp_path: Path, damage: str) -> None:
    """Disks forget; whoever asks next gets no copy rather than a wrong one."""
    cache = Cache(tmp_path)
    copy = make(cache, b"1234")
    copy.close()
    file = copy.directory / "a" if damage != "list" else copy.directory.parent / "content.json"
    file.chmod(0o600)
    if damage == "gone":
        file.unlink()
    else:
        content = file.read_bytes()
        file.write_bytes(content[:-1] if damage == "cut" else bytes([content[0] ^ 1]) + content[1:])

    assert cache.hold(copy.content.digest) is None
    assert not cache.has(copy.content.digest)
    assert make(cache, b"1234").content.digest == copy.content.digest


def test_copy_in_use_by_another_process_stays(tmp_path: Path, other: Callable[[str], "subprocess.Popen[str]"]) -> None:
    """Until that process dies, however it dies."""
    cache = Cache(tmp_path)
    copy = make(cache, b"1")
    user = other(copy.content.digest)
    copy.close()

    while_used = cache.trim(0)
    user.send_signal(signal.SIGKILL)
    user.wait()

    assert (while_used, cache.trim(0)) == (False, True)
    assert not cache.has(copy.content.digest)


def test_draft_of_a_dead_process_is_removed_at_the_next_start(tmp_path: Path, other: Callable[[str], "subprocess.Popen[str]"]) -> None:
    """That of a living one is left alone."""
    dead, _ = other("draft"), other("draft")
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    before = left(tmp_path)

    Cache(tmp_path)

    assert (before, left(tmp_path)) == (2, 1)


def test_evicted_versions_are_forgotten(tmp_path: Path) -> None:
    """What the index tells of is there."""
    cache = Cache(tmp_path)
    place = Place("file:///r", "m", 1)
    cache.index.record(place, (("a", 1, 2),), make(cache, b"1").content.digest)
    known = cache.index.digest(place, (("a", 1, 2),)), cache.index.digest(place, (("a", 1, 3),))
    cache.trim(0)

    assert (bool(known[0]), known[1]) == (True, "")
    assert (cache.index.digest(place, (("a", 1, 2),)), list((tmp_path / "index").iterdir())) == ("", [])


@pytest.mark.parametrize("turns", [15, pytest.param(1_000, marks=pytest.mark.slow)])
def test_crowd_of_processes_shares_a_cache_that_is_too_small(tmp_path: Path, turns: int) -> None:
    """All make, hold and give back the same few copies; none loses one that it holds, and nothing half made is left."""
    commands = [[sys.executable, "-c", CROWD, str(tmp_path), str(seed), str(turns)] for seed in range(4)]
    crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for command in commands]

    told = [process.communicate() for process in crowd]

    assert told == [("done\n", "")] * 4
    assert left(tmp_path) == 0
