"""Sealed files on their way to a bucket."""

import os
import threading
import time

import pytest
from predictions import record
from test_remote_sink import balanced, hasty, until

from penstock.domain.clock import monotonic
from penstock.payloads import parquet_file
from penstock.payloads.claim import Claim
from penstock.payloads.courier import NotDelivered
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.layout import bad_path, open_path
from penstock.payloads.object_store_sink import ObjectStoreSink
from penstock.payloads.options import BucketOptions, PayloadOptions
from penstock.payloads.parquet_sink import ParquetSink
from penstock.payloads.reading import open_files, rows_of, sealed_files
from penstock.payloads.sink import Tally


class Bucket:
    """Keeps what is put, unless it is told not to."""

    def __init__(self):
        self.objects, self.down, self.calls = {}, threading.Event(), 0

    def put(self, name, path):
        self.calls += 1
        if self.down.is_set():
            raise NotDelivered("on purpose")
        self.objects[name] = [row["request_id"] for row in rows_of(path)]

    @property
    def ids(self):
        return [each for name in sorted(self.objects) for each in self.objects[name]]


def sink_of(root, bucket, files=JsonLinesSink, *, keep_uploaded=False, clock=monotonic, **options):
    """Return a sink that seals a file with each write, unless it is told otherwise."""
    given = PayloadOptions(**({"rotate_bytes": 1} | options), object_store=BucketOptions(keep_uploaded=keep_uploaded))
    return ObjectStoreSink(Claim(root / "buffer"), bucket.put, files, given, kept=root, courier=hasty, clock=clock)


def write(sink, *ids):
    """Write records."""
    sink.write([record(request_id=each) for each in ids], Tally())


@pytest.mark.parametrize("files", [JsonLinesSink, ParquetSink])
def test_files_are_put_when_they_are_sealed_and_are_gone_then(tmp_path, files):
    """Under their path; what is still open goes at the end."""
    bucket = Bucket()
    sink = sink_of(tmp_path, bucket, files, rotate_bytes=10_000)
    write(sink, "a", "b")
    sink.flush()
    assert (bucket.objects, sink.backlog.waiting) == ({}, 2)
    for number in range(40):
        write(sink, str(number))
    sink.flush()
    until(lambda: bucket.objects)
    sink.close()
    assert sorted(bucket.ids) == sorted(["a", "b", *map(str, range(40))])
    assert (sink.backlog.written, sink.backlog.waiting, sink.backlog.size_bytes) == (42, 0, 0)
    assert all(name.startswith("model=m/version=1/date=2023-11-14/hour=22/") for name in bucket.objects)
    assert not sealed_files(sink._claim.path)


def test_files_wait_for_a_bucket_that_is_away_and_the_oldest_give_way(tmp_path):
    """Each row is accounted for."""
    bucket = Bucket()
    bucket.down.set()
    sink = sink_of(tmp_path, bucket, buffer_bytes=3_000)
    for number in range(30):
        write(sink, str(number))
        sink.flush()
        assert sink.backlog.size_bytes <= 3_000
        assert balanced(sink.backlog)
    assert not sink.backlog.is_up
    bucket.down.clear()
    until(lambda: not sink.backlog.waiting)
    sink.close()
    assert bucket.ids[-1] == "29"
    assert len(bucket.ids) == sink.backlog.written == 30 - sink.backlog.dropped["buffer_full"] < 30


@pytest.mark.parametrize("files", [JsonLinesSink, ParquetSink])
def test_what_an_earlier_process_has_left_is_put_by_the_next(tmp_path, files):
    """Sealed files, and those that a kill has left open; each once."""
    bucket = Bucket()
    bucket.down.set()
    sink = sink_of(tmp_path, bucket, files)
    write(sink, "a", "b")
    sink.close()
    assert sink.backlog.waiting == 2
    sink = sink_of(tmp_path, bucket, files, rotate_bytes=10**6)
    write(sink, "c")
    for file in sink._files._files._open.values() if hasattr(sink._files, "_files") else ():
        file.abandon()
    sink._courier.stop(0.01)
    sink._claim.release()
    bucket.down.clear()
    last = sink_of(tmp_path, bucket, files)
    last.flush()
    until(lambda: not last.backlog.waiting)
    last.close()
    assert sorted(bucket.ids) == ["a", "b", "c"]
    assert (last.backlog.recovered, last.backlog.written) == (3, 3)


def test_a_file_that_was_damaged_meanwhile_keeps_no_other_from_its_way(tmp_path):
    """It stays, under another name."""
    bucket = Bucket()
    bucket.down.set()
    sink = sink_of(tmp_path, bucket, ParquetSink)
    write(sink, "a")
    write(sink, "b")
    sink.close()
    damaged, _ = sealed_files(sink._claim.path)
    damaged.write_bytes(b"garbage")
    bucket.down.clear()
    sink = sink_of(tmp_path, bucket, ParquetSink)
    sink.close()
    assert (bucket.ids, bad_path(damaged).exists(), balanced(sink.backlog)) == (["b"], True, True)


def test_files_are_kept_beside_the_others_where_that_is_asked_for(tmp_path):
    """For the commands that read them, as long as retention says."""
    bucket = Bucket()
    sink = sink_of(tmp_path, bucket, keep_uploaded=True)
    write(sink, "a")
    sink.close()
    assert [row["request_id"] for path in sealed_files(tmp_path) for row in rows_of(path)] == ["a"] == bucket.ids


def test_files_that_could_not_be_sealed_or_were_too_young_are_put_later(tmp_path, monkeypatch):
    """Each row is accounted for all the while, and one file that is removed meanwhile is lost."""
    now, bucket = [0], Bucket()
    sink = sink_of(tmp_path, bucket, ParquetSink, clock=lambda: now[0])
    with monkeypatch.context() as patch:
        patch.setattr(parquet_file, "_sync", lambda _: (_ for _ in ()).throw(OSError(28, "on purpose")))
        write(sink, "a")
        write(sink, "gone")
    open_files(sink._claim.path)[-1].unlink()
    foreign = open_files(sink._claim.path)[0].with_name(".20260101T170000Z-elsewhere-1-000001.jsonl.inprogress")
    foreign.write_bytes(b'{"request_id":"b"}\n')
    sink.flush()
    assert (sink.backlog.waiting, bucket.ids, balanced(sink.backlog)) == (2, [], True)
    os.utime(foreign, (time.time() - 3600,) * 2)
    now[0] = 61 * 10**9
    sink.flush()
    until(lambda: len(bucket.ids) == 2)
    sink.close()
    assert sorted(bucket.ids) == ["a", "b"]
    assert (sink.backlog.recovered, sink.backlog.dropped, sink.backlog.waiting) == (1, {"io": 1}, 0)


def test_files_that_somebody_has_removed_count_as_lost(tmp_path):
    """Sealed ones, and one that is being written."""
    bucket = Bucket()
    bucket.down.set()
    sink = sink_of(tmp_path, bucket, rotate_bytes=1_000)
    write(sink, *"abcd")
    sink.flush()
    write(sink, "e")
    for path in sealed_files(sink._claim.path) + open_files(sink._claim.path):
        path.unlink()
    bucket.put = sink._put = lambda _name, path: list(rows_of(path))
    write(sink, "f")
    assert sink.backlog.overflowed == {"io": 1}
    until(lambda: sink.backlog.refused)  # a courier that last heard of failure carries nothing more at the end
    sink.close()
    assert sink.backlog.dropped == {"io": 5}
    assert (sink.backlog.written, balanced(sink.backlog)) == (1, True)


def test_an_open_file_is_not_put(tmp_path):
    """Only files that never change again leave."""
    bucket = Bucket()
    sink = sink_of(tmp_path, bucket, rotate_bytes=10**6)
    write(sink, "a")
    sink.flush()
    (hidden,) = open_files(sink._claim.path)
    assert (bucket.calls, hidden.name) == (0, open_path(hidden.with_name(hidden.name[1:].removesuffix(".inprogress"))).name)
    sink.close()
    assert bucket.ids == ["a"]
