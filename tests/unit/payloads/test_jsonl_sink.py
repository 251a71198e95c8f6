"""Files: whole, private, bounded, and not lost to whatever happens to a disk."""

import errno
import fcntl
import os
import shutil

import pytest
from predictions import record

from penstock.payloads import reading
from penstock.payloads.jsonl_file import LINES
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.layout import BAD, OPEN, open_path
from penstock.payloads.leftovers import repair
from penstock.payloads.open_file import OpenFile
from penstock.payloads.options import PayloadOptions
from penstock.payloads.reading import last_rows, rows_of, sealed_files
from penstock.payloads.retention import forget
from penstock.payloads.sink import SinkFailed, Tally

HOUR_US = 3_600_000_000
T0 = 1_700_000_000_000_000


def sealed_ids(root):
    """Return the request ids in files that are finished."""
    return [row["request_id"] for path in sealed_files(root) for row in rows_of(path)]


def sink_of(root, clock=lambda: 0, **options):
    """Return a sink."""
    return JsonLinesSink(root, PayloadOptions(**options), clock)


def write(sink, *records):
    """Write records, and return what has become of them."""
    tally = Tally()
    sink.write(records, tally)
    return tally


def failed(sink, *records):
    """Write records some of which are lost, and return what has become of them."""
    tally = Tally()
    with pytest.raises(SinkFailed):
        sink.write(records, tally)
    return tally


def test_a_file_is_hidden_and_private_until_it_is_sealed(tmp_path):
    """A file is hidden and private until it is sealed."""
    root = tmp_path / "deep" / "payloads"
    sink = sink_of(root)
    write(sink, record(request_id="a"))
    (hidden,) = root.rglob(f".*{OPEN}")
    assert not list(root.rglob("*.jsonl"))
    assert hidden.stat().st_mode & 0o777 == 0o600
    assert hidden.parent.stat().st_mode & 0o777 == 0o700
    sink.close()
    (sealed,) = sealed_files(root)
    assert sealed.parent == root / "model=m" / "version=1" / "date=2023-11-14" / "hour=22"
    assert sealed_ids(root) == ["a"]
    assert not list(root.rglob(f".*{OPEN}"))


def test_each_model_version_and_hour_has_files_of_its_own(tmp_path):
    """Each model version and hour has files of its own."""
    sink = sink_of(tmp_path)
    write(sink, record(), record(version="2"), record(model="n"), record(version=""))
    write(sink, record(timestamp_us=1_700_000_000_000_000 + HOUR_US))
    sink.close()
    folders = {"/".join(path.relative_to(tmp_path).parts[:4:3]) for path in sealed_files(tmp_path)}
    assert len(sealed_files(tmp_path)) == 5
    assert folders == {"model=m/hour=22", "model=m/hour=23", "model=n/hour=22"}


def test_rows_that_come_in_turns_from_both_sides_of_an_hour_make_two_files(tmp_path):
    """A late one seals no other's file."""
    sink = sink_of(tmp_path)
    for number in range(6):
        write(sink, record(request_id=str(number), timestamp_us=T0 // HOUR_US * HOUR_US - number % 2))
    sink.close()
    assert [[row["request_id"] for row in rows_of(path)] for path in sealed_files(tmp_path)] == [list("024"), list("135")]


def test_a_file_is_sealed_by_size_and_by_age(tmp_path):
    """A file is sealed by size and by age."""
    now = [0]
    sink = sink_of(tmp_path, lambda: now[0], rotate_bytes=1, rotate_s=10.0)
    write(sink, record(request_id="a"))
    assert sealed_ids(tmp_path) == ["a"]
    sink = sink_of(tmp_path, lambda: now[0], rotate_s=10.0)
    write(sink, record(request_id="b"))
    sink.flush()
    assert sealed_ids(tmp_path) == ["a"]
    now[0] = 10 * 10**9
    sink.flush()
    assert sorted(sealed_ids(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize(("code", "reason"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "io")])
def test_a_disk_that_takes_nothing_costs_rows_that_are_counted_and_the_next_are_whole(tmp_path, monkeypatch, code, reason):
    """A disk that takes nothing costs rows that are counted and the next are whole."""
    sink = sink_of(tmp_path)
    write(sink, record(request_id="a"))
    real, calls = os.write, []

    def torn(descriptor, data):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(code, "on purpose")
        return real(descriptor, data[:7])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn)
        tally = failed(sink, record(request_id="b"), record(request_id="c"))
    assert (tally.written, tally.lost) == (0, {reason: 2})
    write(sink, record(request_id="d"))
    sink.close()
    assert sealed_ids(tmp_path) == ["a", "d"]


def test_a_directory_that_cannot_be_made_costs_rows_until_it_can(tmp_path):
    """A directory that cannot be made costs rows until it can."""
    (tmp_path / "root").write_text("in the way")
    sink = sink_of(tmp_path / "root")
    assert failed(sink, record()).lost == {"io": 1}
    (tmp_path / "root").unlink()
    write(sink, record(request_id="b"))
    sink.close()
    assert sealed_ids(tmp_path / "root") == ["b"]


def test_a_directory_that_is_removed_is_made_again(tmp_path):
    """A directory that is removed is made again."""
    sink = sink_of(tmp_path / "root")
    write(sink, record())
    shutil.rmtree(tmp_path / "root")
    write(sink, record(request_id="b"))
    sink.close()
    assert sealed_ids(tmp_path / "root") == ["b"]


def test_a_record_that_cannot_be_encoded_costs_no_other_one(tmp_path):
    """A record that cannot be encoded costs no other one."""
    sink = sink_of(tmp_path)
    tally = failed(sink, record(request_id="a"), record(request_id="\ud800"), record(request_id="b"))
    assert (tally.written, tally.lost) == (2, {"encode": 1})
    sink.close()
    assert sealed_ids(tmp_path) == ["a", "b"]


def test_a_file_that_could_not_be_synced_is_not_shown(tmp_path, monkeypatch):
    """A file that could not be synced is not shown."""
    sink = sink_of(tmp_path)
    write(sink, record())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "on purpose")))
        sink.close()
    assert sealed_files(tmp_path) == []
    assert len(list(tmp_path.rglob(f".*{BAD}"))) == 1


def left_by_a_killed_writer(root, content):
    """Write what a writer that was killed has left; returns where it will be."""
    path = (
        root
        / "model=m"
        / "version=1"
        / "date=2023-11-14"
        / "hour=22"
        / f"20231114T221320Z-{os.uname().nodename.replace('-', '_')}-1-000001.jsonl"
    )
    path.parent.mkdir(parents=True)
    open_path(path).write_bytes(content)
    return path


def test_the_half_line_of_a_killed_writer_is_cut_and_the_rest_is_shown(tmp_path):
    """The half line of a killed writer is cut and the rest is shown."""
    path = left_by_a_killed_writer(tmp_path, b'{"request_id":"a"}\n{"request_id":"b"}\n{"reque')
    repair(tmp_path, 3600)
    assert sealed_files(tmp_path) == [path]
    assert sealed_ids(tmp_path) == ["a", "b"]


def test_what_is_no_json_is_quarantined(tmp_path):
    """What is no json is quarantined."""
    path = left_by_a_killed_writer(tmp_path, b'{"request_id":"a"}\ngarbage\n{}\n')
    repair(tmp_path, 3600)
    assert sealed_files(tmp_path) == []
    assert [found.name for found in path.parent.iterdir()] == [f".{path.name}{BAD}"]


def test_a_file_without_a_whole_line_goes(tmp_path):
    """A file without a whole line goes."""
    path = left_by_a_killed_writer(tmp_path, b'{"half')
    repair(tmp_path, 3600)
    assert list(path.parent.iterdir()) == []


def test_a_file_of_a_living_writer_is_left_alone(tmp_path):
    """A file of a living writer is left alone."""
    sink = sink_of(tmp_path)
    write(sink, record(request_id="a"))
    repair(tmp_path, 0)
    assert sealed_files(tmp_path) == []
    sink.close()
    assert sealed_ids(tmp_path) == ["a"]


def test_a_file_of_a_living_writer_is_left_alone_where_there_are_no_locks(tmp_path, monkeypatch):
    """Its age tells."""
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "No locks available")))
    sink = sink_of(tmp_path)
    write(sink, record(request_id="a"))
    repair(tmp_path, 3600)
    assert sealed_files(tmp_path) == []
    sink.close()
    assert sealed_ids(tmp_path) == ["a"]


def test_a_file_that_is_taken_for_a_leftover_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    """Its rows would reach nobody."""
    real = fcntl.flock

    def late(descriptor, operation):
        monkeypatch.setattr("fcntl.flock", real)
        repair(tmp_path, 3600)
        real(descriptor, operation)

    sink = sink_of(tmp_path)
    monkeypatch.setattr("fcntl.flock", late)
    write(sink, record(request_id="a"))
    sink.close()
    assert sealed_ids(tmp_path) == ["a"]


def test_files_go_by_age_and_by_size_the_oldest_first(tmp_path):
    """Files go by age and by size the oldest first."""
    sink = sink_of(tmp_path, rotate_bytes=1)
    for name in "abc":
        write(sink, record(request_id=name))
    old, middle, new = sealed_files(tmp_path)
    for path, age_s in ((old, 10 * 86_400), (middle, 86_400), (new, 0)):
        stamp = new.stat().st_mtime - age_s
        os.utime(path, (stamp, stamp))
    assert forget(tmp_path, keep_days=5, keep_bytes=10**9) == 1
    assert sealed_ids(tmp_path) == ["b", "c"]
    assert forget(tmp_path, keep_days=5, keep_bytes=new.stat().st_size) == 1
    assert sealed_ids(tmp_path) == ["c"]


def test_an_empty_folder_goes_with_its_last_file(tmp_path):
    """An empty folder goes with its last file."""
    sink = sink_of(tmp_path, rotate_bytes=1)
    write(sink, record())
    assert forget(tmp_path, keep_days=5, keep_bytes=0) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_nothing_was_written_to_is_not_shown(tmp_path):
    """A file that nothing was written to is not shown."""
    OpenFile.create(tmp_path / "x.jsonl", 0, LINES, tmp_path).seal()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("block", [100, 256 * 1024])
@pytest.mark.parametrize("most", [1, 3, 100])
def test_the_last_rows_are_read_from_the_end(tmp_path, monkeypatch, most, block):
    """A row may be larger than what is read at once."""
    monkeypatch.setattr(reading, "_BLOCK", block)
    sink = sink_of(tmp_path)
    write(sink, *(record(request_id=f"{number:0300}") for number in range(20)))
    sink.close()
    (path,) = sealed_files(tmp_path)
    assert last_rows(path, most) == list(rows_of(path))[-most:]
