"""Tables for pandas and Evidently hold what the rows do."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
from predictions import record, spec, tensor

from penstock.cli.payloads_export import definition
from penstock.domain.tensor import DATATYPES
from penstock.payloads import duck
from penstock.payloads.flat import flat_rows
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.options import PayloadOptions
from penstock.payloads.outline import outlines
from penstock.payloads.reading import rows_of, sealed_files
from penstock.payloads.redaction import Redaction
from penstock.payloads.sink import Tally

READERS = {"PARQUET": pd.read_parquet, "CSV": pd.read_csv}


def rows_in(home, *records):
    """Write records into files, and yield what a table has of them."""
    sink = JsonLinesSink(home / "payloads", PayloadOptions())
    sink.write(records, Tally())
    sink.close()
    for path in sealed_files(home / "payloads"):
        for row in rows_of(path):
            yield from flat_rows(row)


def limits(wire):
    """Return the least and the most of a datatype, and what lies between."""
    dtype = DATATYPES[wire].dtype
    if dtype.kind in "iu":
        return [int(np.iinfo(dtype).min), int(np.iinfo(dtype).max), 1]
    if dtype.kind == "f":
        return [float(np.finfo(dtype).max), float(np.finfo(dtype).tiny), -0.0, float(dtype.type(1 / 3)), math.nan, -math.inf]
    return [True, False] if dtype.kind == "b" else ["", "ä\n\"',", "null", "1"]


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("wire", [wire for wire in DATATYPES if wire != "BF16"])
def test_a_table_holds_every_value_of_every_datatype(tmp_path, wire, form):
    """To the last digit, one row for each row of the request."""
    values = limits(wire)
    if form == "CSV" and wire == "BYTES":
        values = values[1:]  # pandas takes an empty text for none whatever it is told, where it stands in quotes
    kinds = duck.write_table(rows_in(tmp_path, record([tensor("X", values, wire)])), tmp_path / "table", form)
    read = partial(READERS[form], keep_default_na=wire != "BYTES", dtype={"X": str} if wire == "BYTES" else None)
    frame = (read if form == "CSV" else READERS[form])(tmp_path / "table").sort_values("row")
    assert repr(frame["X"].tolist()) == repr(values)
    assert kinds["X"] != "HUGEINT"


def test_bits_of_bf16_are_numbers_in_a_table(tmp_path):
    """0x3FC0 is 1.5."""
    duck.write_table(rows_in(tmp_path, record([tensor("X", [0x3FC0, 0xC000], "BF16")])), tmp_path / "table", "PARQUET")
    assert pd.read_parquet(tmp_path / "table")["X"].tolist() == [1.5, -2.0]


def test_columns_that_were_redacted_are_columns_of_the_table(tmp_path):
    """By their names; those that were dropped are not there, and the roles are those of what is left."""
    known = {"F": spec("F", "age", "zip", "income")}
    safe = Redaction({"age": "bucket:10", "zip": "hash", "income": "drop"}, b"k").safe([tensor("F", [[37, 1, 2], [41, 1, 2]])], known)
    kinds = duck.write_table(rows_in(tmp_path, record(safe, [tensor("score", [0.1, 0.9])])), tmp_path / "table", "PARQUET")
    frame = pd.read_parquet(tmp_path / "table")
    assert frame["F.age"].tolist() == [30.0, 40.0]
    assert len(set(frame["F.zip"])) == 1
    assert frame["prediction.score"].tolist() == [float(np.float32(0.1)), float(np.float32(0.9))]
    assert not [name for name in frame if "income" in name]
    roles = definition(kinds)
    assert (roles["numerical_columns"], roles["text_columns"]) == (["F.age", "prediction.score"], ["F.zip"])


def test_a_feature_that_a_row_lacks_is_nothing_there_and_whole_numbers_keep_their_digits(tmp_path):
    """As long as pandas is asked for numbers that may be missing."""
    rows = rows_in(tmp_path, record([tensor("id", [2**62 + 1], "INT64")]), record([tensor("other", [1.0])]))
    duck.write_table(rows, tmp_path / "table", "PARQUET")
    ids = pd.read_parquet(tmp_path / "table", dtype_backend="numpy_nullable")["id"]
    assert ids.dropna().tolist() == [2**62 + 1]
    assert ids.isna().sum() == 1


def test_the_outline_tells_what_tensors_there_are(tmp_path):
    """With their roles and types, and shapes as far as all rows agree."""
    sink = JsonLinesSink(tmp_path, PayloadOptions())
    label = tensor("label", ["yes"], "BYTES")
    sink.write(
        [record([tensor("X", [[1.0, 2.0]]), tensor("age", [[37]], "INT64")], [label]), record([tensor("X", [[1.0, 2.0]] * 3)])], Tally()
    )
    sink.close()
    found = outlines(row for path in sealed_files(tmp_path) for row in rows_of(path))
    assert [one[2:] for one in found] == [
        ("X", "feature", "numerical_sequence", "FP32", [-1, 2], 2),
        ("age", "feature", "numerical", "INT64", [1, 1], 1),
        ("label", "prediction", "categorical", "BYTES", [1], 1),
    ]
