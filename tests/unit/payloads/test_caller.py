"""Whose key a prediction came with, in its row; and rows of before there was such a column."""

import json

import pyarrow.parquet as pq
import pytest
from predictions import ended, record, tensor

from penstock.domain.caller import Action, Caller
from penstock.domain.tenant import Tenant
from penstock.payloads import duck
from penstock.payloads.flat import flat_rows
from penstock.payloads.intake import Intake
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.options import PayloadOptions, RecordingOptions
from penstock.payloads.parquet_sink import ParquetSink
from penstock.payloads.reading import rows_of, sealed_files
from penstock.payloads.recording import Recording, Surroundings
from penstock.payloads.sink import Tally
from penstock.payloads.subject import subject_hashes
from penstock.payloads.undecided import Undecided

KEY = b"k"


def recorded(name=None, **options):
    """Return what the column holds for a prediction of the caller."""
    intake = Intake(1 << 30)
    options = RecordingOptions(sample=1.0, **options)
    recording = Recording(options, KEY, intake, lambda: None, surroundings=Surroundings(), undecided=Undecided(1 << 20))
    ticket = ended("r", [tensor("X", [[1.0]])])
    ticket.request.caller = None if name is None else Caller(Tenant(name), [Action.PREDICT])
    recording(ticket, "OK")
    (offer,) = intake.take(1)
    return offer.record(0, ()).caller


def test_column_holds_the_name_unless_the_settings_say_otherwise():
    """Its keyed hash, or nothing; the hash is found by the name as a subject's is."""
    assert recorded("shop") == "shop"
    assert recorded("shop", caller="hash") == subject_hashes("shop", [KEY]).pop()
    assert recorded("shop", caller="off") == ""
    assert recorded(None) == ""
    assert recorded(None, caller="hash") == ""


def test_hash_of_callers_needs_the_key_and_names_do_not():
    """A server that hashes nothing keeps no secret."""
    assert RecordingOptions(caller="hash").needs_key
    assert not RecordingOptions().needs_key


@pytest.mark.parametrize("kind", [JsonLinesSink, ParquetSink])
def test_rows_of_before_the_column_stay_readable_beside_new_ones(tmp_path, kind):
    """Rows, tables of features, and queries: what they never held is empty or NULL."""
    before, now = (write(tmp_path / name, kind, request_id=name, caller="shop") for name in ("before", "now"))
    forget_callers(before)

    (old,), (new,) = rows_of(before), rows_of(now)
    assert "caller" not in old
    assert new["caller"] == "shop"
    assert [next(flat_rows(row))["caller"] for row in (old, new)] == ["", "shop"]
    for files in ([before], [before, now]):
        with duck.opened(files) as database:
            told = database.execute("SELECT request_id, caller, inputs[1].name FROM payloads ORDER BY 1").fetchall()
        assert told == [("before", None, "X"), ("now", "shop", "X")][: len(files)]


def test_query_reads_both_forms_whichever_is_older(tmp_path):
    """Parquet of before beside lines of now."""
    before, now = write(tmp_path / "a", ParquetSink, request_id="a"), write(tmp_path / "b", JsonLinesSink, request_id="b", caller='"')
    forget_callers(before)

    with duck.opened([before, now]) as database:
        assert database.execute("SELECT request_id, caller FROM payloads ORDER BY 1").fetchall() == [("a", None), ("b", '"')]


def write(directory, kind, **fields):
    """Return the sealed file of one row."""
    sink = kind(directory, PayloadOptions())
    sink.write([record([tensor("X", [1.0])])._replace(**fields)], Tally())
    sink.close()
    (path,) = sealed_files(directory)
    return path


def forget_callers(path):
    """Make a file what it would have been without the column."""
    if path.suffix == ".parquet":
        pq.write_table(pq.ParquetFile(path).read().drop_columns(["caller"]), path)
    else:
        lines = map(json.loads, path.read_text().splitlines())
        path.write_text("".join(json.dumps({name: row[name] for name in row if name != "caller"}) + "\n" for row in lines))
