"""Lines of the audit log: tied together, whole or cut off, whoever writes and however it ends."""

import errno
import json
import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from penstock.audit.check import checked
from penstock.audit.entry import GENESIS, Change, entry_of
from penstock.audit.files import AuditFiles
from penstock.audit.journal import Journal
from penstock.audit.page import Asked, _newest_first, page_of
from penstock.domain.actor import ADMIN, Actor


def change(what: str = "load", *, model: str = "m", actor: Actor = ADMIN, why: str = "") -> Change:
    """Return a change."""
    return Change("2026-01-02T03:04:05.006Z", actor, model, what, "1", "2", why)


def written(root: Path, number: int = 3) -> Path:
    """Write a log of so many entries, and return its file."""
    Journal(root).append([change(f"load {n}") for n in range(number)])
    return root / "audit.jsonl"


def whats(root: Path, limit: int = 1000) -> list[str]:
    """Return what the entries say, the oldest first."""
    return [entry.what for entry in reversed(page_of(AuditFiles(root), Asked(limit)).entries)]


def test_each_line_holds_its_own_hash_and_that_of_the_line_before(tmp_path: Path) -> None:
    """The hash can be computed anew by whoever reads the page about it."""
    lines = written(tmp_path).read_bytes().splitlines()

    before = GENESIS
    for number, line in enumerate(lines, 1):
        document = json.loads(line)
        body, found, _ = line.rpartition(b',"hash":"')
        assert found
        assert document["hash"] == sha256(body + b"}").hexdigest()
        assert (document["seq"], document["previous"]) == (number, before)
        before = document["hash"]


def test_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Also one that had other rights before."""
    path = written(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    path.chmod(0o644)
    Journal(tmp_path).append([change()])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_next_process_goes_on_with_the_chain(tmp_path: Path) -> None:
    """And two that write in turn: each sees what the other has written."""
    one, other = Journal(tmp_path), Journal(tmp_path)
    for turn in range(3):
        one.append([change(f"one {turn}")])
        other.append([change(f"other {turn}"), change(f"other {turn} again")])

    verdict = checked(AuditFiles(tmp_path).oldest_first())

    assert verdict.fault is None
    assert verdict.last is not None
    assert verdict.last.seq == 9


@pytest.mark.parametrize("left", [1, 40, -1])
def test_torn_last_line_is_cut_off_and_told(tmp_path: Path, left: int) -> None:
    """Wherever the machine stopped; what was whole stays."""
    path = written(tmp_path)
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:2]) + whole[2][:left])

    Journal(tmp_path).append([change("next")])

    assert whats(tmp_path) == ["load 0", "load 1", "audit log", "next"]
    assert checked([path]).fault is None
    assert f"{len(whole[2][:left])} bytes" in entry_of(path.read_bytes().splitlines()[2]).before


def test_log_of_nothing_but_a_torn_line_begins_anew(tmp_path: Path) -> None:
    """The first entry is entry 1."""
    (tmp_path / "audit.jsonl").write_bytes(b'{"seq":1')

    Journal(tmp_path).append([change("next")])

    assert whats(tmp_path) == ["audit log", "next"]
    assert checked([tmp_path / "audit.jsonl"]).fault is None


@pytest.mark.parametrize(
    ("harm", "line", "why"),
    [
        (lambda lines: [lines[0], lines[1].replace(b"load 1", b"load 9"), *lines[2:]], 2, "it was changed"),
        (lambda lines: [lines[0], *lines[2:]], 2, "left out"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2, "moved"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3, "added"),
        (lambda lines: [*lines[:2], b"\n", *lines[2:]], 3, "no entry"),
        (lambda lines: [*lines[:-1], lines[-1][:-9]], 4, "cut off"),
        (lambda lines: [lines[0], forged(lines[1]), *lines[2:]], 3, "in the place of another"),
        (lambda lines: [forged(lines[0], previous="1" * 64), *lines[1:]], 1, "names one before"),
        (lambda lines: [lines[0].replace(b'"why":""', b'"why":"","x":1'), *lines[1:]], 1, "no entry"),
    ],
)
def test_check_names_the_first_line_that_is_not_as_it_was_written(tmp_path: Path, harm, line: int, why: str) -> None:
    """Changed, left out, moved, added, cut off, or written anew with a hash that fits."""
    path = written(tmp_path, 4)
    path.write_bytes(b"".join(harm(path.read_bytes().splitlines(keepends=True))))

    fault = checked([path]).fault

    assert fault is not None
    assert (fault.path, fault.line) == (path, line)
    assert why in fault.why


def forged(line: bytes, **changes: object) -> bytes:
    """Return a line that says something else, with a hash that fits."""
    document = json.loads(line) | {"what": "nothing"} | changes
    del document["hash"]
    body = json.dumps(document, separators=(",", ":")).encode().removesuffix(b"}")
    return body + b',"hash":"' + sha256(body + b"}").hexdigest().encode() + b'"}\n'


def test_damaged_last_line_stays_for_the_check_to_name(tmp_path: Path) -> None:
    """New entries follow it, so that nothing hides what happened."""
    path = written(tmp_path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b"load 2", b"load 7")]))

    Journal(tmp_path).append([change("next")])

    fault = checked([path]).fault
    assert fault is not None
    assert fault.line == 3
    assert json.loads(path.read_bytes().splitlines()[3])["seq"] == 4


def test_full_file_gets_its_own_name_and_the_chain_goes_on(tmp_path: Path) -> None:
    """All files are one chain; each alone is one too, and pages cross their borders."""
    journal = Journal(tmp_path, most_bytes=900)
    for number in range(9):
        journal.append([change(f"load {number}")])
    paths = AuditFiles(tmp_path).oldest_first()

    assert len(paths) > 2
    assert paths[0].name == "audit-000000000001.jsonl"
    verdict = checked(paths)
    assert verdict.fault is None
    assert verdict.last is not None
    assert verdict.last.seq == 9
    assert all(checked([path]).fault is None for path in paths)
    fault = checked([paths[0], *paths[2:]]).fault
    assert fault is not None
    assert (fault.path, fault.line) == (paths[2], 1)
    assert whats(tmp_path) == [f"load {number}" for number in range(9)]


def test_chain_goes_on_where_a_crash_came_between_two_files(tmp_path: Path) -> None:
    """The full file has its name, and the next one was not begun."""
    written(tmp_path).rename(AuditFiles(tmp_path).full_name(1))

    Journal(tmp_path).append([change("next")])

    verdict = checked(AuditFiles(tmp_path).oldest_first())
    assert verdict.fault is None
    assert verdict.last is not None
    assert verdict.last.seq == 4


def test_nothing_of_a_write_that_fails_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full takes half a line; the next try goes on from the last whole one."""
    journal = Journal(tmp_path)
    journal.append([change("first")])
    real, calls = os.write, []

    def full(descriptor: int, content: bytes) -> int:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, bytes(content)[:50])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        journal.append([change("second")])
    monkeypatch.undo()
    journal.append([change("second")])

    assert whats(tmp_path) == ["first", "second"]
    assert checked([tmp_path / "audit.jsonl"]).fault is None


def test_planted_link_is_not_written_to(tmp_path: Path) -> None:
    """Nobody chooses by a link where the server writes."""
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic links"):
        Journal(tmp_path).append([change()])

    assert (tmp_path / "elsewhere").read_bytes() == b""


@pytest.mark.parametrize("text", ["\n\r\x00\x1b[31m", '","hash":"0', "ä\ud800", "x" * 100_000])
def test_any_text_makes_one_whole_line(tmp_path: Path, text: str) -> None:
    """Line breaks, quotes, halves of characters, and more than anybody needs."""
    Journal(tmp_path).append([change(why=text), change("next")])

    assert checked([tmp_path / "audit.jsonl"]).fault is None
    assert whats(tmp_path) == ["load", "next"]


def test_pages_follow_one_another(tmp_path: Path) -> None:
    """The newest first; the last page names no other. Long lines cross the blocks in which files are read."""
    Journal(tmp_path).append([change(f"load {n}", why="x" * 4000, model="a" if n % 2 else "b") for n in range(50)])
    files, seen, before = AuditFiles(tmp_path), [], None
    for _ in range(10):
        page = page_of(files, Asked(20, before))
        seen += [entry.seq for entry in page.entries]
        before = page.next
        if before is None:
            break

    assert seen == list(range(50, 0, -1))
    assert [entry.seq for entry in page_of(files, Asked(2, model="b", before=40)).entries] == [39, 37]
    assert page_of(files, Asked(5, who="nobody")).entries == []


@pytest.mark.parametrize("read_before", [0, 1, 3])
def test_page_holds_each_entry_once_while_the_file_becomes_a_full_one(tmp_path: Path, read_before: int) -> None:
    """Whenever that happens."""
    path = written(tmp_path, 3)
    files = AuditFiles(tmp_path)
    entries = _newest_first(files)
    seen = [next(entries).what for _ in range(read_before)]
    path.rename(files.full_name(1))
    Journal(tmp_path).append([change("next")])

    seen += [entry.what for entry in entries]

    assert [what for what in seen if what != "next"] == ["load 2", "load 1", "load 0"]
