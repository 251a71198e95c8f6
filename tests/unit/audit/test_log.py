"""The audit log of a running server: nobody waits for it, and a disk that fails is told."""

import logging
import threading
from pathlib import Path

import pytest

from penstock.audit.check import checked
from penstock.audit.files import AuditFiles
from penstock.audit.journal import Journal
from penstock.audit.log import AuditLog
from penstock.audit.page import Asked
from penstock.domain.actor import ADMIN


def whats(log: AuditLog) -> list[str]:
    """Return what the entries say, the oldest first."""
    return [entry.what for entry in reversed(log.page(Asked(100)).entries)]


def test_page_holds_what_was_told_just_before(tmp_path: Path) -> None:
    """Who has changed something sees it at once."""
    log = AuditLog(tmp_path)
    log.start()
    for number in range(5):
        log.add(ADMIN, f"load {number}", model="m")
        assert whats(log)[-1] == f"load {number}"
    log.close()

    assert log.view() == (5, 0, 0, "")


def test_close_writes_what_waits(tmp_path: Path) -> None:
    """All of it."""
    log = AuditLog(tmp_path)
    for number in range(1200):
        log.add(ADMIN, f"load {number}")
    log.start()
    log.close()

    assert log.view().written == 1200
    assert checked(AuditFiles(tmp_path).oldest_first()).fault is None


def test_without_a_directory_nothing_is_kept() -> None:
    """Nor does anything wait."""
    log = AuditLog(None)
    log.start()
    log.add(ADMIN, "load")
    log.close()

    assert log.view() == (0, 0, 0, "")
    assert whats(log) == []


def test_full_disk_is_told_and_counted_and_what_waited_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As much as may wait; of the rest the log itself says how much it was."""
    real, failed, healed = Journal.append, threading.Semaphore(0), threading.Event()

    def append(journal: Journal, changes: object) -> None:
        if not healed.is_set():
            failed.release()
            raise OSError(28, "No space left on device")
        real(journal, changes)  # type: ignore[arg-type]

    monkeypatch.setattr(Journal, "append", append)
    log = AuditLog(tmp_path, most_waiting=3, retry_s=0.001)
    log.start()
    with caplog.at_level(logging.INFO, "penstock"):
        for number in range(5):
            log.add(ADMIN, f"load {number}")
        for _ in range(3):
            assert failed.acquire(timeout=20)
        view = log.view()
        assert (view.written, view.lost, view.waiting, view.problem) == (0, 2, 3, "No space left on device")
        healed.set()
        log.close()

    assert log.view()[:3] == (3, 2, 0)
    assert whats(log) == ["load 0", "load 1", "load 2", "audit log"]
    (note,) = log.page(Asked(1)).entries
    assert note.after == "2 entries were lost"
    assert log.view().problem == ""
    told = [record.message for record in caplog.records if "audit log" in record.message]
    assert len(told) == 2, told  # once that it cannot be written, once that it can again


def test_server_that_stops_does_not_wait_for_a_disk_that_fails(tmp_path: Path) -> None:
    """What waits is lost, and counted."""
    (tmp_path / "file").write_bytes(b"")
    log = AuditLog(tmp_path / "file", retry_s=3600)
    log.start()
    log.add(ADMIN, "load")
    log.close()

    assert log.view()[:2] == (0, 1)
