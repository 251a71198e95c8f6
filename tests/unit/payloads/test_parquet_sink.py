"""Parquet: the same rows as lines of JSON hold, bit by bit, for every reader, and none lost by a kill but the last."""

import errno
import os
import sys

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from backlogs import descriptors
from predictions import record, tensor
from tensors import same, tensors

from penstock.payloads import duck, parquet_file
from penstock.payloads.finishing import finish
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.layout import BAD, OPEN
from penstock.payloads.leftovers import repair
from penstock.payloads.options import PayloadOptions
from penstock.payloads.parquet_file import TABLES
from penstock.payloads.parquet_sink import ParquetSink
from penstock.payloads.reading import array_of, last_rows, open_files, row_count, rows_of, sealed_files
from penstock.payloads.row import UnreadableRow
from penstock.payloads.sink import SinkFailed, Tally


def sink_of(root, clock=lambda: 0, **options):
    """Return a sink."""
    return ParquetSink(root, PayloadOptions(**options), clock)


def write(sink, *records):
    """Write records, and return what has become of them."""
    tally = Tally()
    sink.write(records, tally)
    return tally


def ids(paths):
    """Return the request ids in files."""
    return [row["request_id"] for path in paths for row in rows_of(path)]


@pytest.mark.parametrize("state", ["being written", "sealed"])
def test_any_bits_of_a_datatype_are_read_back_as_they_were(tmp_path, state):
    """Any bits of a datatype are read back as they were: NaN and its payload too."""
    sent = list(tensors())
    sink = sink_of(tmp_path)
    write(sink, record(sent, sent[:3], request_id="all"), *(record([each], request_id=each.name) for each in sent), record())
    if state == "sealed":
        sink.close()
    (path,) = sealed_files(tmp_path) if state == "sealed" else open_files(tmp_path)
    rows = list(rows_of(path))
    assert [cell["name"] for cell in rows[0]["inputs"]] == [each.name for each in sent]
    cells = rows[0]["inputs"] + [row["inputs"][0] for row in rows[1:-1]] + rows[0]["outputs"]
    for cell, each in zip(cells, [*sent, *sent, *sent[:3]], strict=True):
        assert same(array_of(cell), each.array), each.name
    assert rows[-1]["inputs"] == rows[-1]["outputs"] == []


def test_rows_are_those_that_lines_of_json_hold(tmp_path):
    """Column by column; what has no version too."""
    values = [tensor("X", [[1.5, -2.0]]), tensor("name", ["ä"], "BYTES"), tensor("bad", [np.nan])]
    records = [record(values, values[:1], request_id="a"), record()._replace(metadata={"x-tenant": "t", "b": ""}, sampling_fraction=0.1)]
    records += [record(version="", request_id="c")]
    found = []
    for kind in (ParquetSink, JsonLinesSink):
        sink = kind(tmp_path / kind.__name__, PayloadOptions())
        assert write(sink, *records).written == 3
        sink.close()
        paths = sealed_files(tmp_path / kind.__name__)
        assert [row_count(path) for path in paths] == [2, 1]
        found.append([row for path in paths for row in rows_of(path)])
    assert found[0] == found[1]


def test_a_file_is_hidden_and_private_until_it_is_sealed(tmp_path):
    """A file is hidden and private until it is sealed, and nothing is left beside it."""
    sink = sink_of(tmp_path)
    write(sink, record(request_id="a"))
    assert not sealed_files(tmp_path)
    (hidden,) = open_files(tmp_path)
    assert hidden.name.endswith(f".parquet{OPEN}")
    write(sink, record(request_id="b"))
    assert (ids([hidden]), last_rows(hidden, 1)[0]["request_id"]) == (["a", "b"], "b")
    sink.close()
    (path,) = sealed_files(tmp_path)
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600
    assert (ids([path]), [row["request_id"] for row in last_rows(path, 1)], last_rows(path, 0)) == (["a", "b"], ["b"], [])


def test_engines_read_the_folders_as_one_table(tmp_path):
    """DuckDB, pandas and polars: model, version and hour come from the names of folders."""
    sink = sink_of(tmp_path)
    write(sink, record([tensor("X", [[0.1, np.nan]])], request_id="a"), record(model="n", version="", request_id="b"))
    sink.close()
    pattern = f"{tmp_path}/**/*.parquet"
    rows = duckdb.sql(f"SELECT request_id, model, version, inputs[1].fp32[1] FROM read_parquet('{pattern}') ORDER BY 1").fetchall()
    assert rows == [("a", "m", "1", pytest.approx(0.1)), ("b", "n", "none", None)]
    (tmp_path / "feedback").mkdir()
    (tmp_path / "feedback" / "1.jsonl").write_text("{}\n")
    frame = pd.read_parquet(tmp_path, ignore_prefixes=[".", "feedback", "buffer"]).sort_values("request_id")
    assert frame[["model", "version", "hour"]].astype(str).to_numpy().tolist() == [["m", "1", "22"], ["n", "none", "22"]]
    assert frame.inputs.iloc[0][0]["fp32"].tolist() == pytest.approx([np.float32(0.1), np.nan], nan_ok=True)
    assert pl.read_parquet(pattern, hive_partitioning=True).sort("request_id")["model"].to_list() == ["m", "n"]


def test_the_view_of_queries_is_the_same_for_both_forms(tmp_path):
    """A directory may hold both."""
    values = [tensor("X", [1.5, -2.0]), tensor("I", [1, 2], "INT8"), tensor("B", [True], "BOOL"), tensor("T", ["ä"], "BYTES")]
    values += [tensor("H", [0.5], "FP16"), tensor("U", [2**64 - 1], "UINT64")]
    for kind in (ParquetSink, JsonLinesSink):
        sink = kind(tmp_path, PayloadOptions())
        write(sink, record(values, values[:1], request_id="same"), record([tensor("N", [1.0, np.nan])], request_id=kind.name, version=""))
        sink.close()
    with duck.opened(sealed_files(tmp_path)) as database:
        one, other = database.execute("SELECT * FROM payloads WHERE request_id = 'same'").fetchall()
        assert one == other
        assert database.execute("SELECT inputs[1].data FROM payloads WHERE request_id = 'parquet'").fetchall() == [("[1.0,null]",)]
        assert database.execute("SELECT DISTINCT version FROM payloads ORDER BY 1").fetchall() == [("",), ("1",)]


def test_a_record_that_cannot_be_encoded_costs_no_other_one(tmp_path):
    """A record that cannot be encoded costs no other one."""
    sink, tally = sink_of(tmp_path), Tally()
    with pytest.raises(SinkFailed):
        sink.write([record(request_id="a"), record(request_id="\ud800"), record(request_id="b")], tally)
    assert (tally.written, tally.lost) == (2, {"encode": 1})
    sink.close()
    assert ids(sealed_files(tmp_path)) == ["a", "b"]


def test_a_disk_that_takes_nothing_costs_rows_that_are_counted_and_the_next_are_whole(tmp_path, monkeypatch):
    """A disk that takes nothing costs rows that are counted and the next are whole."""
    sink, tally, real, calls = sink_of(tmp_path), Tally(), os.write, []

    def torn(descriptor, data):
        calls.append(1)
        if len(calls) % 2 == 0:
            raise OSError(errno.ENOSPC, "on purpose")
        return real(descriptor, data[:7])

    for begun in (False, True):
        with monkeypatch.context() as patch, pytest.raises(SinkFailed):
            patch.setattr(os, "write", torn)
            sink.write([record(request_id="lost")], tally)
        write(sink, record(request_id=f"kept {begun}"))
    sink.close()
    assert (tally.written, tally.lost) == (0, {"disk_full": 2})
    assert ids(sealed_files(tmp_path)) == ["kept False", "kept True"]


def test_what_cannot_be_converted_now_is_converted_later(tmp_path, monkeypatch):
    """A disk too full for both files: the rows stay hidden, in no descriptor, and appear when there is room again."""
    sink = sink_of(tmp_path, rotate_s=0.0)
    write(sink, record(request_id="a"))
    before = descriptors()
    with monkeypatch.context() as patch:
        patch.setattr(parquet_file, "_sync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "on purpose")))
        sink.flush()
    assert (sealed_files(tmp_path), ids(open_files(tmp_path))) == ([], ["a"])
    assert descriptors() == before - 1
    repair(tmp_path, 3600)
    assert (ids(sealed_files(tmp_path)), open_files(tmp_path)) == (["a"], [])
    sink.close()


def killed(root, *records):
    """Return the file that a writer which was killed has left."""
    sink = sink_of(root)
    for each in records:
        write(sink, each)
    for file in sink._files._open.values():
        file.abandon()
    (path,) = open_files(root)
    return path


@pytest.mark.parametrize("torn", [0, 1, 9, 300])
def test_the_torn_end_of_a_killed_writer_is_cut_and_the_rest_is_shown(tmp_path, torn):
    """The torn end of a killed writer is cut and the rest is shown."""
    path = killed(tmp_path, record(request_id="a"), record(request_id="b"))
    size = path.stat().st_size
    killed_at = size - torn if torn else size
    os.truncate(path, killed_at)
    assert ids([path]) == (["a"] if torn else ["a", "b"])
    repair(tmp_path, 3600)
    assert ids(sealed_files(tmp_path)) == (["a"] if torn else ["a", "b"])
    assert len(list(path.parent.iterdir())) == 1


def test_zeros_that_a_disk_without_power_has_left_are_no_rows(tmp_path):
    """Zeros that a disk without power has left are no rows."""
    path = killed(tmp_path, record(request_id="a"))
    os.truncate(path, path.stat().st_size + 5000)
    repair(tmp_path, 3600)
    assert ids(sealed_files(tmp_path)) == ["a"]


def test_what_was_changed_in_the_middle_is_quarantined(tmp_path):
    """A checksum tells."""
    path = killed(tmp_path, record(request_id="a"), record(request_id="b"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UnreadableRow):
        ids([path])
    repair(tmp_path, 3600)
    assert not sealed_files(tmp_path)
    assert [found.name.endswith(BAD) for found in path.parent.iterdir()] == [True]


def test_a_file_without_a_row_goes(tmp_path):
    """A file without a row goes."""
    path = killed(tmp_path, record(request_id="a"))
    os.truncate(path, len(TABLES.head) + 3)
    repair(tmp_path, 3600)
    assert list(path.parent.iterdir()) == []


def test_a_kill_between_the_two_names_of_a_file_costs_and_doubles_nothing(tmp_path):
    """The file is converted again, to the same name."""
    path = killed(tmp_path, record(request_id="a"))
    kept = path.read_bytes()
    repair(tmp_path, 3600)
    path.write_bytes(kept)
    repair(tmp_path, 3600)
    assert ids(sealed_files(tmp_path)) == ["a"]
    assert len(list(path.parent.iterdir())) == 1


def test_many_rows_become_few_row_groups(tmp_path, monkeypatch):
    """However often they were appended."""
    monkeypatch.setattr(parquet_file, "_GROUP_BYTES", 60_000)
    hidden = killed(tmp_path, *(record([tensor("X", np.zeros((1, 100)))], request_id=str(number)) for number in range(200)))
    path = hidden.with_name("x.parquet")
    finish(TABLES, hidden, path, tmp_path)
    assert 1 < parquet_file.pq.read_metadata(path).num_row_groups < 10
    assert ids([path]) == [str(number) for number in range(200)]


def test_commands_without_the_extra_say_what_to_install(tmp_path, monkeypatch):
    """They meet files of a server that has it."""
    sink = sink_of(tmp_path)
    write(sink, record())
    sink.close()
    (path,) = sealed_files(tmp_path)
    monkeypatch.delitem(sys.modules, "penstock.payloads.parquet_rows")
    monkeypatch.delattr("penstock.payloads.parquet_rows")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for read in (row_count, lambda path: last_rows(path, 1), lambda path: list(rows_of(path))):
        with pytest.raises(OSError, match=r"pip install 'penstock\[parquet\]'"):
            read(path)
