"""Feedback is filed beside the payloads, whatever form these have: its files are sealed by themselves."""

import numpy as np

from penstock.domain.tensor import DATATYPES, Tensor
from penstock.payloads.feedback_log import FeedbackLog
from penstock.payloads.feedback_record import FeedbackRecord
from penstock.payloads.options import PayloadOptions
from penstock.payloads.reading import feedback_files, rows_of


def word(request_id="r1", model="m", day=20_000):
    """Return a word of feedback of some day."""
    truth = [Tensor("label", DATATYPES["INT64"], np.array([1]))]
    return FeedbackRecord(request_id, day * 86_400_000_000, model, "3", "stable", "joined", None, truth)


def test_each_word_is_a_line_of_a_sealed_file_whatever_sink_the_payloads_have(tmp_path):
    """The form of the payloads says nothing of the form of feedback."""
    log = FeedbackLog(PayloadOptions(sink="parquet"), tmp_path)
    log.put(word())
    log.put(word("r2", day=20_001))
    log.close()
    paths = feedback_files(tmp_path / "payloads")
    assert [row["request_id"] for path in paths for row in rows_of(path)] == ["r1", "r2"]
    assert [path.suffix for path in paths] == [".jsonl", ".jsonl"]
    assert (log.written, dict(log.dropped)) == (2, {})


def test_what_cannot_be_written_is_counted_once_and_the_rest_is_written(tmp_path):
    """A word that JSON cannot say costs no other one."""
    log = FeedbackLog(PayloadOptions(), tmp_path)
    log.put(word("\ud800"))
    log.put(word("r2"))
    log.close()
    assert (log.written, dict(log.dropped)) == (1, {"encode": 1})
