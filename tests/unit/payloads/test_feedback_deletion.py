"""What was said of a subject's predictions goes with them."""

from datetime import UTC, datetime

import pytest
from backlogs import until
from predictions import record, tensor

from penstock.payloads import feedback_deletion
from penstock.payloads.deletion import Deletions
from penstock.payloads.feedback_log import FeedbackLog
from penstock.payloads.feedback_record import FeedbackRecord
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.key import key_of
from penstock.payloads.options import PayloadOptions
from penstock.payloads.parquet_sink import ParquetSink
from penstock.payloads.reading import feedback_files, rows_of
from penstock.payloads.redaction import digest_of
from penstock.payloads.sink import Tally

LATER = datetime(2030, 1, 1, tzinfo=UTC)
T0 = 1_700_000_000_000_000


@pytest.fixture(params=[JsonLinesSink, ParquetSink])
def predicted(request, tmp_path):
    """Three predictions of ann's and bob's, by two models; the sink is open."""
    key = key_of(tmp_path)
    sink = request.param(tmp_path / "payloads", PayloadOptions())
    rows = [("a", "ann", "m"), ("b", "bob", "m"), ("a", "bob", "n")]
    sink.write(
        [
            record([tensor("X", [[1.0]])], request_id=i, model=model)._replace(subject=digest_of(who.encode(), key))
            for i, who, model in rows
        ],
        Tally(),
    )
    return sink


def say(state, *words, close=True):
    """Say something of predictions, each a request id and a model."""
    log = FeedbackLog(PayloadOptions(), state)
    for request_id, model in words:
        log.put(FeedbackRecord(request_id, T0, model, "1", "stable", "joined", 1.0, []))
    if close:
        log.close()
    return log


def left(state):
    """Return of which predictions something is said in finished files."""
    return sorted((row["request_id"], row["model"]) for path in feedback_files(state / "payloads") for row in rows_of(path))


def delete(state, **options):
    """Delete what is ann's."""
    return Deletions(state / "payloads", state, 30.0).delete("ann", LATER, **options)


@pytest.mark.parametrize("sealed", [True, False])
def test_feedback_on_the_predictions_of_a_subject_goes_and_no_other(tmp_path, predicted, sealed):
    """Whether their rows are in finished files or not; ids are those of one model."""
    if sealed:
        predicted.close()
    words = [("a", "m"), ("b", "m"), ("a", "n"), ("never recorded", "m")]
    say(tmp_path, *words)
    assert (sum(delete(tmp_path, dry_run=True)[:3:2]), left(tmp_path)) == (2, sorted(words))
    deleted = delete(tmp_path)
    assert (deleted.rows, deleted.waiting) == ((2, 0) if sealed else (1, 1))
    assert left(tmp_path) == sorted(words[1:])
    predicted.close()


@pytest.mark.parametrize("moment", ["_count_open", "write_down", "_files"])
def test_feedback_that_is_being_written_is_counted_and_never_gets_a_name(tmp_path, predicted, monkeypatch, moment):
    """Once, whenever its file is finished; what comes later goes too."""
    predicted.close()
    log = say(tmp_path, ("a", "m"), ("b", "m"), close=False)
    until(lambda: log.written == 2)
    act = getattr(feedback_deletion, moment)

    def then_finish(*args):
        done = act(*args)
        log.close()
        return done

    with monkeypatch.context() as patch:
        patch.setattr(feedback_deletion, moment, then_finish)
        deleted = delete(tmp_path)
    assert deleted.rows + deleted.waiting == 2
    say(tmp_path, ("a", "m"), ("c", "m"))
    assert left(tmp_path) == [("b", "m"), ("c", "m")]


def test_a_deletion_that_failed_before_the_predictions_went_finds_their_feedback_again(tmp_path, predicted, monkeypatch):
    """The words go first."""
    predicted.close()
    say(tmp_path, ("a", "m"))
    with monkeypatch.context() as patch:
        patch.setattr("penstock.payloads.deletion.delete_words", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            delete(tmp_path)
    assert delete(tmp_path).rows == 2
    assert left(tmp_path) == []
