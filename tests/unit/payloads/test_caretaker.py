"""What is left is finished and what is old goes, whatever sinks there are, and if there is none."""

import os
import time

import pytest
from backlogs import until
from predictions import record

from penstock.payloads.caretaker import Caretaker
from penstock.payloads.claim import Claim
from penstock.payloads.feedback_log import FeedbackLog
from penstock.payloads.feedback_record import FOLDER, FeedbackRecord
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.layout import BAD, OPEN
from penstock.payloads.options import PayloadOptions
from penstock.payloads.parquet_sink import ParquetSink
from penstock.payloads.reading import feedback_files, open_files, rows_of, sealed_files
from penstock.payloads.retention import DAY_S
from penstock.payloads.sink import Tally

HOUR = "model=m/version=1/date=2026-01-01/hour=17"
ROW = b'{"request_id":"left"}\n'


def put(path, data=ROW, *, days=0.0):
    """Write a file that is so old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    at_s = time.time() - days * DAY_S
    os.utime(path, (at_s, at_s))
    return path


def look(root, **options):
    """Look once."""
    Caretaker(root, PayloadOptions(**options)).look()


def ids(paths):
    """Return the request ids in files."""
    return [row["request_id"] for path in paths for row in rows_of(path)]


def killed(root, make, name):
    """Have a writer write a row and be killed."""
    sink = make(root, PayloadOptions())
    sink.write([record(request_id=name)], Tally())
    for file in sink._files._open.values():
        file.abandon()


@pytest.mark.parametrize(
    "path",
    [
        f"{HOUR}/20260101T170000Z-h-1-000001.jsonl",
        f"{HOUR}/20260101T170000Z-h-1-000001.parquet",
        f"{HOUR}/.20260101T170000Z-h-1-000001.jsonl{BAD}",
        f"{HOUR}/.20260101T170000Z-h-1-000001.unknown{OPEN}",
        f"{FOLDER}/model=m/date=2026-01-01/20260101T170000Z-h-1-000001.jsonl",
        f"buffer/object_store/1/{HOUR}/.20260101T170000Z-h-1-000001.jsonl{BAD}",
        f"buffer/object_store/2/{HOUR}/20260101T170000Z-h-1-000001.jsonl",
        "buffer/kafka/1/01767286800000000000-1-000001.jsonl",
    ],
)
def test_files_go_when_they_are_too_old_though_nobody_writes(tmp_path, path):
    """Sealed ones, those that are kept aside, those that nobody can finish, and what waits for a sink that nobody names any more."""
    old, lock = put(tmp_path / path, days=31), put(tmp_path / "buffer/kafka/1/.lock", b"", days=31)
    look(tmp_path)
    assert (old.exists(), lock.exists()) == (False, True)
    young = put(tmp_path / path, days=29)
    look(tmp_path)
    assert young.exists()


def test_what_killed_writers_have_left_is_finished_whatever_its_form(tmp_path):
    """Feedback too; no writer need come for it."""
    killed(tmp_path, JsonLinesSink, "lines")
    killed(tmp_path, ParquetSink, "table")
    put(tmp_path / FOLDER / "model=m" / "date=2026-01-01" / f".20260101T000000Z-elsewhere-1-000001.jsonl{OPEN}", ROW + b'{"half', days=1)
    look(tmp_path)
    assert sorted(ids(sealed_files(tmp_path))) == ["lines", "table"]
    assert ids(feedback_files(tmp_path)) == ["left"]


def test_a_file_of_another_machine_is_finished_once_it_is_old_enough(tmp_path):
    """It may be alive until then: its lock may not be seen here."""
    left = put(tmp_path / HOUR / f".20260101T170000Z-elsewhere-1-000001.jsonl{OPEN}")
    look(tmp_path)
    assert sealed_files(tmp_path) == []
    put(left, days=1)
    look(tmp_path)
    assert ids(sealed_files(tmp_path)) == ["left"]


def test_payloads_and_feedback_have_bounds_of_their_own_and_what_is_written_stays(tmp_path):
    """Neither counts for the other, and neither removes the other's."""
    for make in (JsonLinesSink, ParquetSink):
        sink = make(tmp_path / "payloads", PayloadOptions())
        sink.write([record()], Tally())
        sink.close()
    log = FeedbackLog(PayloadOptions(), tmp_path)
    log.put(FeedbackRecord("r", 1_700_000_000_000_000, "m", "3", "stable", "joined", None, []))
    log.close()
    size = feedback_files(tmp_path / "payloads")[0].stat().st_size
    sink.write([record(request_id="open")], Tally())
    os.utime(open_files(tmp_path / "payloads")[0], (time.time() - DAY_S,) * 2)
    look(tmp_path / "payloads", keep_bytes=size)
    assert (len(sealed_files(tmp_path / "payloads")), len(feedback_files(tmp_path / "payloads"))) == (0, 1)
    sink.close()
    assert ids(sealed_files(tmp_path / "payloads")) == ["open"]


def test_it_looks_at_the_start(tmp_path):
    """On a thread of its own, which ends when it is told to."""
    old = put(tmp_path / HOUR / "20260101T170000Z-h-1-000001.jsonl", days=31)
    caretaker = Caretaker(tmp_path, PayloadOptions())
    caretaker.start()
    until(lambda: not old.exists())
    caretaker.close()
    assert not caretaker._thread.is_alive()


def test_what_a_living_sink_elsewhere_holds_is_its_own_to_drop(tmp_path):
    """It counts what it drops; nobody is faster."""
    claim = Claim(tmp_path / "buffer" / "kafka")
    block = put(claim.path / "01767286800000000000-1-000001.jsonl", days=30.01)
    look(tmp_path)
    assert block.exists()
    claim.release()
