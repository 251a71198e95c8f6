"""Rows of a subject are gone, wherever they were, and nothing else is."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from predictions import record

from penstock.payloads import deletion
from penstock.payloads.deletion import Deletions, NoKey
from penstock.payloads.deletion_count import DeletionCount
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.key import FILE, key_of, keys_of
from penstock.payloads.leftovers import repair
from penstock.payloads.options import PayloadOptions
from penstock.payloads.reading import open_files, rows_of, sealed_files
from penstock.payloads.redaction import digest_of
from penstock.payloads.sink import Tally
from penstock.payloads.tombstones import Tombstone, Tombstones, timestamp

LATER = datetime(2030, 1, 1, tzinfo=UTC)
T0 = 1_700_000_000_000_000


@pytest.fixture
def state(tmp_path):
    """A state directory with a key."""
    key_of(tmp_path)
    return tmp_path


def written(state, *rows, model="m"):
    """Return a sink that has written rows and not finished their file; each row is a request id and its subjects."""
    (state / "payloads").mkdir(exist_ok=True)
    sink = JsonLinesSink(state / "payloads", PayloadOptions())
    key = keys_of(state)[0]
    sink.write(
        [
            record(request_id=name, model=model, timestamp_us=T0 + at)._replace(
                subject=" ".join(digest_of(who.encode(), key) for who in whose.split())
            )
            for at, (name, whose) in enumerate(rows)
        ],
        Tally(),
    )
    return sink


def left(state, files=sealed_files):
    """Return the ids of the rows that files hold."""
    return [row["request_id"] for path in files(state / "payloads") for row in rows_of(path)]


def delete(state, subject="ann", before=LATER, keep_days=30.0, **options):
    """Delete what is recorded of a subject."""
    return Deletions(state / "payloads", state, keep_days).delete(subject, before, **options)


def test_rows_of_a_subject_are_gone_and_the_others_are_as_they_were(state):
    """Also those that are of several subjects."""
    written(state, ("a", "ann"), ("b", "bob"), ("c", "bob ann"), ("d", "")).close()
    (path,) = sealed_files(state / "payloads")
    lines, age = path.read_bytes().splitlines(), path.stat().st_mtime_ns
    assert delete(state) == (2, 1, 0, 0)
    assert path.read_bytes().splitlines() == [lines[1], lines[3]]
    assert (path.stat().st_mode & 0o777, path.stat().st_mtime_ns) == (0o600, age)
    assert delete(state) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("moment", "counted"),
    [("requests_of", (1, 1, 0, 0)), ("_count_open", (1, 1, 0, 0)), ("write_down", (0, 0, 1, 0)), ("delete_words", (0, 0, 1, 0))],
)
def test_rows_of_a_file_that_is_finished_during_the_deletion_are_counted(state, monkeypatch, moment, counted):
    """Once, whenever that is: by the deletion where the sink did not know of it, else by the sink."""
    sink = written(state, ("a", "ann"), ("b", "bob"))
    act = getattr(deletion, moment)

    def then_finish(*args, **options):
        done = act(*args, **options)
        sink.close()
        return done

    monkeypatch.setattr(deletion, moment, then_finish)
    assert delete(state) == counted
    assert left(state) == ["b"]


def test_rows_of_a_file_that_is_finished_during_a_dry_run_are_counted_once(state, monkeypatch):
    """Not as rows that wait, too."""
    sink = written(state, ("a", "ann"), ("b", "bob"))
    monkeypatch.setattr(deletion, "delete_words", lambda *_, **__: sink.close())
    assert delete(state, dry_run=True) == (1, 1, 0, 0)
    assert left(state) == ["a", "b"]


def test_rows_that_wait_are_counted_although_their_holder_was_faster():
    """It took them out between two looks at its file, the second of which finds it under its name."""
    count = DeletionCount()
    count.wait(Path(".a.jsonl.inprogress"), 1)
    count.wait(Path("a.jsonl"), 0)
    assert count.told(0) == (0, 0, 1, 0)


def test_a_file_without_any_other_row_is_gone(state):
    """No empty file is left for readers to wonder about."""
    written(state, ("a", "ann")).close()
    delete(state)
    assert sealed_files(state / "payloads") == []


def test_only_the_rows_of_the_model_and_of_the_time_before_go(state):
    """And with a dry run none."""
    for model in ("m", "n"):
        written(state, ("a", "ann"), ("b", "ann"), model=model).close()
    before = datetime.fromtimestamp((T0 + 1) / 1e6, UTC)
    assert delete(state, before=before, model="n", dry_run=True) == (1, 1, 0, 0)
    assert left(state) == ["a", "b", "a", "b"]
    assert delete(state, before=before, model="n") == (1, 1, 0, 0)
    assert left(state) == ["a", "b", "b"]


def test_a_file_that_is_being_written_loses_the_rows_before_anybody_sees_it(state):
    """Also those that are written to it after the deletion, of predictions from before."""
    sink = written(state, ("a", "ann"), ("b", "bob"))
    assert delete(state) == (0, 0, 1, 0)
    key = keys_of(state)[0]
    sink.write([record(request_id="late", timestamp_us=T0 + 5)._replace(subject=digest_of(b"ann", key))], Tally())
    sink.close()
    assert left(state) == ["b"]
    assert left(state, open_files) == []


def test_rows_of_predictions_after_the_deletion_stay(state):
    """Who comes back is recorded again."""
    sink = written(state, ("a", "ann"))
    delete(state, before=datetime.fromtimestamp((T0 + 3) / 1e6, UTC))
    key = keys_of(state)[0]
    sink.write([record(request_id="back", timestamp_us=T0 + 5)._replace(subject=digest_of(b"ann", key))], Tally())
    sink.close()
    assert left(state) == ["back"]


def test_a_file_that_a_killed_writer_has_left_loses_the_rows_when_it_is_finished(state):
    """By its successor."""
    written(state, ("a", "ann"), ("b", "bob"))._files._open.popitem()[1].abandon()
    assert delete(state) == (0, 0, 1, 0)
    repair(state / "payloads", 0)
    assert left(state) == ["b"]


def test_a_deletion_that_is_killed_leaves_whole_files(state, monkeypatch):
    """As they were, or without the rows; the next one removes what it had begun to write."""
    written(state, ("a", "ann"), ("b", "bob")).close()

    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    monkeypatch.setattr("pathlib.Path.replace", kill)
    monkeypatch.setattr("pathlib.Path.unlink", kill)
    with pytest.raises(Killed):
        delete(state)
    monkeypatch.undo()
    assert left(state) == ["a", "b"]
    delete(state)
    assert left(state) == ["b"]
    assert not [path for path in (state / "payloads").rglob("*") if path.name.endswith(".draft")]


def test_a_file_that_cannot_be_rewritten_is_not_shown(state, monkeypatch):
    """Rather than to show what was deleted; the next start tries again."""
    sink = written(state, ("a", "ann"), ("b", "bob"))
    delete(state)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("penstock.payloads.rewriting._write", full)
    sink.close()
    monkeypatch.undo()
    assert left(state) == []
    repair(state / "payloads", 0)
    assert left(state) == ["b"]


def test_rows_in_a_file_that_is_kept_aside_go_too(state):
    """Whatever else it holds."""
    written(state, ("a", "ann"), ("b", "bob")).close()
    (path,) = sealed_files(state / "payloads")
    bad = path.with_name(f".{path.name}.quarantined")
    torn = path.read_bytes().splitlines()[0][:-9]
    bad.write_bytes(b"garbage\n" + torn + b"\n")
    assert delete(state).rows == 2
    assert bad.read_bytes() == b"garbage\n"


def test_a_subject_is_found_by_the_keys_before_the_one_in_force(state):
    """A key may be replaced without losing what was hashed by it; without any key nothing is found, which is told."""
    written(state, ("old", "ann")).close()
    (state / FILE).write_text("ab" * 32 + "\n" + (state / FILE).read_text())
    written(state, ("new", "ann"), ("b", "bob")).close()
    assert delete(state).rows == 2
    (state / FILE).unlink()
    with pytest.raises(NoKey, match="without the key"):
        delete(state)


def test_files_of_another_form_are_counted(state):
    """For whoever believes that all is gone."""
    written(state, ("a", "ann")).close()
    (sealed_files(state / "payloads")[0].with_suffix(".parquet")).touch()
    assert delete(state).foreign == 1


def test_a_text_that_looks_like_a_subject_deletes_nothing(state):
    """A caller who writes our own words into its id gets no rows deleted, and keeps none."""
    key = keys_of(state)[0]
    forged = f'"subject":"{digest_of(b"ann", key)}"'
    written(state, (forged, "bob"), (forged, "ann")).close()
    assert delete(state).rows == 1
    assert left(state) == [forged]


def test_files_that_are_finished_meanwhile_lose_their_rows_all_the_same(state):
    """Whichever comes first, the deletion or the end of the file: no row escapes between the two, and each is counted."""
    for turn in range(30):
        sink = written(state, (f"a{turn}", f"ann{turn}"), (f"b{turn}", "bob"))
        closing = threading.Thread(target=sink.close)
        closing.start()
        deleted = delete(state, f"ann{turn}")
        closing.join()
        assert deleted.rows + deleted.waiting == 1
        assert left(state) == [f"b{number}" for number in range(turn + 1)]


def test_a_torn_line_in_the_list_of_deletions_hides_none_of_the_others(state):
    """The one that was killed while it wrote it has deleted nothing yet."""
    sink = written(state, ("a", "ann"), ("b", "bob"))
    with (state / "payloads" / ".deletions").open("ab") as file:
        file.write(b'{"subjects":["')
    delete(state)
    sink.close()
    assert left(state) == ["b"]


def test_a_deletion_is_forgotten_when_no_file_can_hold_its_rows_any_more(state):
    """At the next one, or the list would grow for ever; one whose rows are still to come is not."""
    key_of(state)
    (state / "payloads").mkdir()
    listed = state / "payloads" / ".deletions"
    now = datetime.now(UTC)
    for before, keep_days in ((now, -2.0), (LATER, -2.0), (now, 30.0), (datetime.max.replace(tzinfo=UTC), 30.0)):
        delete(state, before=before, keep_days=keep_days)
    assert [stone.before for stone in Tombstones.of(listed.parent).living("")] == [
        timestamp(before) for before in (LATER, now, datetime.max.replace(tzinfo=UTC))
    ]
    assert not list(listed.parent.glob("*.draft"))


def test_of_many_deletions_only_those_that_name_a_row_are_asked(state):
    """By subject or by request id: files of feedback are looked through line by line whenever they are sealed."""
    asked = []

    class Watched(Tombstone):
        def takes(self, row):
            asked.append(row)
            return super().takes(row)

    stones = [Watched(subjects=frozenset([f"s{n}"]), requests=frozenset([f"r{n}"]), before="~", model="m") for n in range(50)]
    tombstones = Tombstones(stones)
    rows = [{"model": "m", "version": "1", "request_id": f"r{n}", "timestamp": "t", "subject": f"s{n} s{n + 1}"} for n in range(40, 60)]
    assert [tombstones.takes(row) for row in rows] == [True] * 10 + [False] * 10
    assert len(asked) == 10
