"""Feedback is filed beside the payloads, whatever form these have: its files are sealed, repaired and removed by themselves."""

import os
import time

import numpy as np
import pytest
from predictions import record

from penstock.domain.tensor import DATATYPES, Tensor
from penstock.payloads.feedback_log import FeedbackLog
from penstock.payloads.feedback_record import FOLDER, FeedbackRecord
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.layout import OPEN
from penstock.payloads.options import PayloadOptions
from penstock.payloads.parquet_sink import ParquetSink
from penstock.payloads.reading import feedback_files, rows_of, sealed_files
from penstock.payloads.retention import DAY_S, forget
from penstock.payloads.row_kind import FEEDBACK
from penstock.payloads.sink import Tally


def word(request_id="r1", model="m", day=20_000):
    """Return a word of feedback of some day."""
    truth = [Tensor("label", DATATYPES["INT64"], np.array([1]))]
    return FeedbackRecord(request_id, day * 86_400_000_000, model, "3", "stable", "joined", None, truth)


def log_of(state_dir, **options):
    """Return a log whose thread runs."""
    log = FeedbackLog(PayloadOptions(**options), state_dir)
    log.want()
    log.start()
    return log


def test_each_word_is_a_line_of_a_sealed_file_whatever_sink_the_payloads_have(tmp_path):
    """The form of the payloads says nothing of the form of feedback."""
    log = log_of(tmp_path, sink="parquet")
    log.put(word())
    log.put(word("r2", day=20_001))
    log.close()
    paths = feedback_files(tmp_path / "payloads")
    assert [row["request_id"] for path in paths for row in rows_of(path)] == ["r1", "r2"]
    assert [path.suffix for path in paths] == [".jsonl", ".jsonl"]
    assert (log.written, dict(log.dropped)) == (2, {})


def test_what_cannot_be_written_is_counted_once_and_the_rest_is_written(tmp_path):
    """A word that JSON cannot say costs no other one."""
    log = log_of(tmp_path)
    log.put(word("\ud800"))
    log.put(word("r2"))
    log.close()
    assert (log.written, dict(log.dropped)) == (1, {"encode": 1})


def test_what_a_killed_writer_has_left_is_finished(tmp_path):
    """Its half line goes."""
    root = tmp_path / "payloads" / FOLDER
    sink = JsonLinesSink(root, PayloadOptions(), kind=FEEDBACK)
    sink.write([word()], Tally())
    (hidden,) = root.glob(f"model=m/date=*/.*{OPEN}")
    left = hidden.read_bytes() + b'{"half'
    sink.close()
    (sealed,) = root.glob("model=m/date=*/*.jsonl")
    sealed.rename(hidden)
    hidden.write_bytes(left)
    log_of(tmp_path).close()
    (path,) = feedback_files(tmp_path / "payloads")
    assert [row["request_id"] for row in rows_of(path)] == ["r1"]


@pytest.mark.parametrize("sink", [JsonLinesSink, ParquetSink])
def test_payloads_and_feedback_are_removed_within_bounds_of_their_own(tmp_path, sink):
    """Neither counts for the other, and neither removes the other's."""
    root = tmp_path / "payloads"
    payloads = sink(root, PayloadOptions())
    payloads.write([record()], Tally())
    payloads.close()
    log = log_of(tmp_path)
    log.put(word())
    log.close()
    assert forget(root, keep_days=30, keep_bytes=0) == 1
    assert (len(sealed_files(root)), len(feedback_files(root))) == (0, 1)
    (path,) = feedback_files(root)
    old_s = time.time() - 31 * DAY_S
    os.utime(path, (old_s, old_s))
    payloads.write([record()], Tally())
    payloads.close()
    log_of(tmp_path).close()
    assert (len(sealed_files(root)), len(feedback_files(root))) == (1, 0)
