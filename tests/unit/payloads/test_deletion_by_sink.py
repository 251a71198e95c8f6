"""Rows of a subject are gone from files of every form, and from what waits here for a sink elsewhere; each of them is counted."""

import os
import threading
from datetime import UTC, datetime

import orjson
import pytest
from backlogs import PATIENCE_S, ByHand, Idle, balanced, until
from predictions import record, tensor

from penstock.domain.tensor import TensorSpec
from penstock.payloads import duck
from penstock.payloads.claim import Claim
from penstock.payloads.courier import Breaker, Courier, Errand, NotDelivered
from penstock.payloads.deletion import Deletions
from penstock.payloads.jsonl_file import LINES
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.key import key_of
from penstock.payloads.layout import OPEN
from penstock.payloads.leftovers import repair
from penstock.payloads.object_store_sink import ObjectStoreSink
from penstock.payloads.options import BucketOptions, PayloadOptions
from penstock.payloads.parquet_file import TABLES
from penstock.payloads.parquet_sink import ParquetSink
from penstock.payloads.reading import open_files, rows_of, sealed_files
from penstock.payloads.redaction import Redaction, digest_of
from penstock.payloads.remote import Delivery, Fate, RemoteSink
from penstock.payloads.sink import Tally
from penstock.payloads.spool import Spool
from penstock.payloads.waiting import DAY_S, Limits

LATER = datetime(2030, 1, 1, tzinfo=UTC)
T0 = 1_700_000_000_000_000
FORMS = {"jsonl": (JsonLinesSink, LINES), "parquet": (ParquetSink, TABLES)}


@pytest.fixture
def root(tmp_path):
    """A directory of payloads, beside the key of its hashes."""
    key_of(tmp_path)
    (tmp_path / "payloads").mkdir()
    return tmp_path / "payloads"


@pytest.fixture(params=["jsonl", "parquet"])
def form(request):
    """A sink of files, and their form."""
    return FORMS[request.param]


def write(sink, root, *rows, **about):
    """Write rows, each a request id and whose it is."""
    key = key_of(root.parent)
    records = [
        record([tensor("X", [[float(at)]])], request_id=name, timestamp_us=T0 + at, **about)._replace(
            subject=" ".join(digest_of(who.encode(), key) for who in whose.split())
        )
        for at, (name, whose) in enumerate(rows)
    ]
    sink.write(records, Tally())
    return sink


def delete(root, subject="ann", before=LATER, **options):
    """Delete what is recorded of a subject."""
    return Deletions(root, root.parent, 30.0).delete(subject, before, **options)


def left(root):
    """Return the ids of the rows that files hold."""
    return [row["request_id"] for path in sealed_files(root) for row in rows_of(path)]


def hasty(name, carry, heard):
    """Return a courier that waits next to nothing after failures."""
    return Courier(name, carry, heard, Breaker(0.001, 0.002))


def test_rows_of_a_sealed_file_are_gone_and_the_others_are_as_they_were(root, form):
    """The file keeps its age and its mode; one without any other row is gone."""
    write(form[0](root, PayloadOptions()), root, ("a", "ann"), ("b", "bob"), ("c", "bob ann"), ("d", "")).close()
    write(form[0](root, PayloadOptions()), root, ("e", "ann"), model="n").close()
    path, only = sealed_files(root)
    before, age = list(rows_of(path)), path.stat().st_mtime_ns
    assert delete(root, dry_run=True) == (3, 2, 0, 0)
    assert left(root) == ["a", "b", "c", "d", "e"]
    assert delete(root) == (3, 2, 0, 0)
    assert list(rows_of(path)) == [before[1], before[3]]
    assert (path.stat().st_mode & 0o777, path.stat().st_mtime_ns, only.exists()) == (0o600, age, False)
    with duck.opened(sealed_files(root)) as database:
        assert database.execute("SELECT request_id, subject <> '' FROM payloads ORDER BY 1").fetchall() == [("b", True), ("d", False)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write what is another's")
def test_what_root_deletes_stays_with_the_owner_of_the_directory(root, form):
    """A server that is not root has to read the list of deletions, or it could finish no file any more."""
    write(form[0](root, PayloadOptions()), root, ("a", "ann"), ("b", "bob")).close()
    for path in (root, *root.rglob("*")):
        os.chown(path, 65534, 65534)
    assert delete(root).rows == 1
    assert {path.stat().st_uid for path in root.rglob("*")} == {65534}
    assert {".deleting", ".deletions"} <= {path.name for path in root.iterdir()}


def test_only_rows_of_the_model_the_version_and_the_time_before_go(root, form):
    """The model and the version may stand in the names of folders alone."""
    for model, version in (("m", "1"), ("n", "1"), ("n", "")):
        write(form[0](root, PayloadOptions()), root, ("a", "ann"), ("b", "ann"), model=model, version=version).close()
    before = datetime.fromtimestamp((T0 + 1) / 1e6, UTC)
    assert delete(root, before=before, model="n", version="none") == (1, 1, 0, 0)
    assert delete(root, before=before, model="n") == (1, 1, 0, 0)
    assert sorted(left(root)) == ["a", "b", "b", "b"]


def test_a_file_that_is_being_written_loses_the_rows_before_it_has_a_name(root, form):
    """Also if that is all it holds."""
    sink = write(form[0](root, PayloadOptions()), root, ("a", "ann"), ("b", "bob"))
    write(sink, root, ("c", "ann"), model="n")
    assert delete(root) == (0, 0, 2, 0)
    sink.close()
    assert left(root) == ["b"]
    assert not [path for path in root.rglob(".*") if path.name.startswith((".2", "..")) and path.is_file()]


def test_a_deletion_that_comes_while_a_file_is_made_ready_does_not_wait_and_is_heeded(root, form):
    """What was made ready is made again, without the rows."""
    make, kind = form
    sink = write(make(root, PayloadOptions()), root, ("a", "ann"), ("b", "bob"))
    made = []

    def ready(hidden, path, tombstones):
        made.append(kind.ready(hidden, path, tombstones))
        if len(made) == 1:
            delete(root)  # would wait for ever if the list were locked
        return made[-1]

    (file,) = sink._files._open.values()
    file._form = kind._replace(ready=ready)
    sink.close()
    assert (left(root), [each.gone for each in made]) == (["b"], [0, 1])
    assert not list(root.rglob("*.draft"))


def test_a_file_that_a_killed_writer_has_left_loses_the_rows_when_it_is_finished(root, form):
    """By its successor, who tells how many rows there are, and how many were."""
    sink = write(form[0](root, PayloadOptions()), root, ("a", "ann"), ("b", "bob"))
    write(sink, root, ("c", "ann"), model="n")
    for file in sink._files._open.values():
        file.abandon()
    assert delete(root) == (0, 0, 2, 0)
    heard = []
    repair(root, 0, heard=lambda path, rows, gone: heard.append((path.exists(), rows, gone)))
    assert (left(root), sorted(heard)) == (["b"], [(False, 0, 1), (True, 1, 1)])


def test_what_a_killed_seal_has_left_is_gone_after_the_next(root):
    """The draft may be the half of a file."""
    sink = write(ParquetSink(root, PayloadOptions()), root, ("a", "ann"))
    (hidden,) = open_files(root)
    hidden.with_name(hidden.name.removesuffix(OPEN) + ".draft").write_bytes(b"PAR1")
    sink.close()
    assert (left(root), list(root.rglob("*.draft"))) == (["a"], [])


def test_what_waits_for_a_destination_and_nobody_holds_is_cut_at_once(root):
    """A server that sends there may never come again."""
    sink = RemoteSink("kafka", Claim(root / "buffer" / "kafka"), Limits(1 << 20, DAY_S), lambda: None, listed=root, courier=Idle)
    write(sink, root, ("a", "ann"), ("b", "bob")).close()
    assert delete(root) == (1, 1, 0, 0)
    (block,) = (root / "buffer" / "kafka" / "1").glob("*.jsonl")
    assert [orjson.loads(line)["request_id"] for line in block.read_bytes().splitlines()] == ["b"]


class Dead:
    """A destination that takes nothing until it is told to."""

    together = 256

    def __init__(self):
        self.lines, self.tries, self.is_up = [], 0, False

    def send(self, lines):
        self.tries += 1
        if not self.is_up:
            return Delivery([Fate.AGAIN] * len(lines), "on purpose")
        self.lines += lines
        return Delivery([Fate.WRITTEN] * len(lines))

    def close(self):
        pass


def test_what_a_living_process_holds_for_a_destination_is_cut_by_it_and_never_sent(root):
    """In the hands of its courier, and in the blocks behind: counted as deleted, and nowhere on the disk any more."""
    far = Dead()
    claim = Claim(root / "buffer" / "kafka")
    sink = RemoteSink("kafka", claim, Limits(8_000, DAY_S), lambda: far, listed=root, courier=hasty)
    write(sink, root, ("a", "ann"), ("b", "bob"))
    until(lambda: far.tries)  # the first block is in its hands
    write(sink, root, ("c", "ann"))
    write(sink, root, ("d", "bob"), ("e", "ann"))
    assert delete(root).waiting in {2, 3}  # the courier may have been faster with its own
    sink.flush()
    until(lambda: sink.backlog.dropped["deleted"] == 3)
    hashed = digest_of(b"ann", key_of(root.parent)).encode()
    assert not [path for path in claim.path.iterdir() if hashed in path.read_bytes()]
    write(sink, root, ("f", "cid"))
    far.is_up = True
    until(lambda: sink.backlog.written == 3)
    sink.close()
    assert (sink.backlog.waiting, balanced(sink.backlog)) == (0, True)
    assert [orjson.loads(line)["request_id"] for line in far.lines] == ["b", "d", "f"]
    assert sink.backlog.size_bytes == 0


def test_what_the_courier_takes_after_a_deletion_is_without_the_rows_although_the_writer_has_not_looked_yet(root):
    """Also if the courier had nothing in its hands when the deletion came."""
    far = Dead()
    far.is_up = True
    sink = RemoteSink("kafka", Claim(root / "buffer" / "kafka"), Limits(1 << 20, DAY_S), lambda: far, listed=root, courier=ByHand)
    delete(root, "cid")
    write(sink, root, ("a", "cid"), ("b", "bob"))
    assert sink._courier.carry(False) is Errand.DONE
    write(sink, root, ("c", "ann"), ("d", "bob"))
    delete(root)
    assert sink._courier.carry(False) is Errand.DONE
    write(sink, root, ("e", "ann"))
    assert [sink._courier.carry(False), sink._courier.carry(False)] == [Errand.DONE, Errand.NOTHING]
    assert [orjson.loads(line)["request_id"] for line in far.lines] == ["b", "d"]
    assert (sink.backlog.dropped, balanced(sink.backlog)) == ({"deleted": 3}, True)


def test_a_file_that_the_courier_takes_after_a_deletion_is_put_without_the_rows(root, form):
    """Although the writer has not looked yet."""
    bucket, options = Bucket(), PayloadOptions(rotate_bytes=1)
    bucket.is_up = True
    sink = ObjectStoreSink(Claim(root / "buffer" / "object_store"), bucket.put, form[0], options, kept=root, courier=ByHand)
    for rows in ([("a", "ann"), ("b", "bob")], [("c", "ann"), ("d", "bob")], [("e", "ann")]):
        write(sink, root, *rows)
    delete(root)
    while sink._courier.carry(False) is Errand.DONE:
        pass
    assert (bucket.ids, sink.backlog.dropped, balanced(sink.backlog)) == (["b", "d"], {"deleted": 3}, True)


def test_a_draft_that_a_killed_process_has_left_is_gone_at_the_next_start(root):
    """It may hold what was deleted."""
    claim = Claim(root / "buffer" / "kafka")
    (claim.path / "1.draft").write_bytes(b"{}\n")
    Spool(claim.path, Limits(1 << 20, DAY_S), RemoteSink("kafka", claim, Limits(1, 1), Dead, listed=root, courier=Idle).backlog)
    assert not (claim.path / "1.draft").exists()


class Bucket:
    """A bucket that may be away, and shows what it has."""

    def __init__(self):
        self.ids, self.is_up, self.tried = [], False, threading.Event()

    def put(self, _name, path):
        self.tried.set()
        if not self.is_up:
            raise NotDelivered("on purpose")
        self.ids += [row["request_id"] for row in rows_of(path)]


def test_what_waits_for_a_bucket_is_cut_before_it_is_put(root, form):
    """What is being put, what waits behind it, and what is still open: each row is put, or counted as deleted."""
    bucket = Bucket()
    options = PayloadOptions(rotate_bytes=1)
    sink = ObjectStoreSink(Claim(root / "buffer" / "object_store"), bucket.put, form[0], options, kept=root, courier=hasty)
    write(sink, root, ("a", "ann"), ("b", "bob"))
    write(sink, root, ("c", "ann"))
    sink.flush()
    assert bucket.tried.wait(PATIENCE_S)
    write(sink, root, ("d", "bob"), ("e", "ann"))
    assert delete(root).waiting in {2, 3}  # the courier may have been faster with its own
    write(sink, root, ("f", "ann"), ("g", "cid"))  # sealed with the deletion in force
    sink.flush()
    bucket.is_up = True
    until(lambda: sink.backlog.written == 3)
    sink.close()
    assert (sorted(bucket.ids), sink.backlog.dropped) == (["b", "d", "g"], {"deleted": 4})
    assert (sink.backlog.waiting, balanced(sink.backlog), sink.backlog.size_bytes) == (0, True, 0)


def test_a_file_that_is_put_during_a_deletion_is_kept_here_without_the_rows(root, form):
    """It was in nobody's place when the files here were rewritten."""

    class Slow(Bucket):
        def put(self, name, path):
            super().put(name, path)
            delete(root)

    bucket, options = Slow(), PayloadOptions(rotate_bytes=1, object_store=BucketOptions(keep_uploaded=True))
    bucket.is_up = True
    sink = ObjectStoreSink(Claim(root / "buffer" / "object_store"), bucket.put, form[0], options, kept=root, courier=hasty)
    write(sink, root, ("a", "ann"), ("b", "bob"))
    write(sink, root, ("c", "ann"))
    sink.flush()
    until(lambda: sink.backlog.waiting == 0)
    sink.close()
    assert ("a" in bucket.ids, left(root), balanced(sink.backlog)) == (True, ["b"], True)


def test_a_damaged_file_keeps_no_other_from_losing_its_rows(root):
    """It is counted, for whoever believes that all is gone."""
    write(ParquetSink(root, PayloadOptions()), root, ("a", "ann")).close()
    write(ParquetSink(root, PayloadOptions()), root, ("b", "ann"), model="n").close()
    sealed_files(root)[0].write_bytes(b"PAR1")
    assert delete(root) == (1, 1, 0, 1)
    assert len(sealed_files(root)) == 1


def test_what_waits_for_a_bucket_and_nobody_holds_is_cut_at_once(root, form):
    """And the next server counts only what is left."""
    bucket, options = Bucket(), PayloadOptions(rotate_bytes=1)
    claim = root / "buffer" / "object_store"
    sink = ObjectStoreSink(Claim(claim), bucket.put, form[0], options, kept=root, courier=Idle)
    write(sink, root, ("a", "ann"), ("b", "bob"))
    sink.close()
    assert delete(root) == (1, 1, 0, 0)
    bucket.is_up = True
    last = ObjectStoreSink(Claim(claim), bucket.put, form[0], options, kept=root, courier=hasty)
    last.flush()
    last.close()
    assert (bucket.ids, last.backlog.recovered, last.backlog.written) == (["b"], 1, 1)


def test_a_table_of_what_was_redacted_by_column_holds_no_more_than_that(root):
    """Columns are tensors of their own in Parquet too, hashes among them text; the subject is a column that views and rows have."""
    spec = TensorSpec("F", tensor("F", [[1.0]]).datatype, (-1, 3), columns=("age", "zip", "income"))
    redaction = Redaction({"age": "bucket:10", "zip": "hash", "income": "drop"}, b"k")
    inputs = redaction.safe([tensor("F", [[37.0, 4711.0, 1e5], [41.0, 4712.0, 2e5]])], {"F": spec})
    sink = ParquetSink(root, PayloadOptions())
    given = record(inputs)._replace(subject="s", status="INVALID_ARGUMENT", status_code=400, client_id="mine")
    sink.write([given], Tally())
    sink.close()
    (row,) = rows_of(sealed_files(root)[0])
    assert [(cell["name"], cell["datatype"], cell["shape"]) for cell in row["inputs"]] == [
        ("F.age", "FP32", [2]),
        ("F.zip", "BYTES", [2]),
    ]
    assert row["inputs"][0]["data"] == [30.0, 40.0]
    assert (row["subject"], row["status"], row["status_code"], row["client_id"]) == ("s", "INVALID_ARGUMENT", 400, "mine")
    with duck.opened(sealed_files(root)) as database:
        found = database.execute("SELECT status, status_code, client_id, subject, inputs[1].data->>0 FROM payloads").fetchall()
    assert found == [("INVALID_ARGUMENT", 400, "mine", "s", "30.0")]
    assert b"4711" not in sealed_files(root)[0].read_bytes()
