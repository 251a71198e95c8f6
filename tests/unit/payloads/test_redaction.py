"""What is redacted is gone."""

import numpy as np
import pytest
from predictions import tensor

from penstock.payloads.key import key_of
from penstock.payloads.redaction import Redaction
from penstock.payloads.rules import rule_problem


def redacted(rules, given, key=b"k"):
    """Return what is left of a tensor."""
    redaction = Redaction(rules, key)
    return redaction.redacted(redaction.kept([given], {given.name: None}))


def test_a_dropped_tensor_is_not_there():
    """A dropped tensor is not there."""
    assert redacted({"X": "drop"}, tensor("X", [1.0])) == []


def test_an_allow_list_keeps_what_it_names_alone():
    """An allow list keeps what it names alone."""
    redaction = Redaction({"*": "drop", "age": "keep"}, b"")
    kept = redaction.kept([tensor("age", [1.0]), tensor("name", ["a"], "BYTES")], {"age": None, "name": None})
    assert [each.name for each in kept] == ["age"]


def test_a_tensor_that_the_model_does_not_know_goes_too():
    """A tensor that the model does not know goes too."""
    redaction = Redaction({"email": "drop"}, b"")
    assert redaction.kept([tensor("emial", ["a@b"], "BYTES")], {"email": None}) == []


@pytest.mark.parametrize(("values", "wire"), [(["a", "b", "a"], "BYTES"), ([1.5, 2.5, 1.5], "FP32"), ([1, 2, 1], "INT64")])
def test_a_hash_tells_equal_from_different_and_nothing_else(values, wire):
    """A hash tells equal from different and nothing else."""
    (found,) = redacted({"X": "hash"}, tensor("X", values, wire))
    one, other, again = found.array.tolist()
    assert one == again != other
    assert found.datatype.wire == "BYTES"
    (keyed,) = redacted({"X": "hash"}, tensor("X", values, wire), b"another")
    assert keyed.array[0] != one


def test_a_text_is_cut():
    """A text is cut."""
    (found,) = redacted({"X": "truncate:3"}, tensor("X", [["abcdef", "ä"]], "BYTES"))
    assert found.array.tolist() == [["abc", "ä"]]


def test_of_numbers_the_first_stay():
    """Of numbers the first stay."""
    (found,) = redacted({"X": "truncate:2"}, tensor("X", [[1.0, 2.0], [3.0, 4.0]]))
    assert found.array.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("values", "wire", "rule", "expected"),
    [
        ([37, -1, 40], "INT64", "bucket:10", [30, -10, 40]),
        ([2**63 - 1], "INT64", "bucket:10", [(2**63 - 1) // 10 * 10]),
        ([-128, 127], "INT8", "bucket:100", [-128, 100]),
        ([0.76, -0.1], "FP64", "bucket:0.5", [0.5, -0.5]),
    ],
)
def test_a_number_becomes_the_edge_of_its_bucket(values, wire, rule, expected):
    """A number becomes the edge of its bucket."""
    (found,) = redacted({"X": rule}, tensor("X", values, wire))
    assert found.array.tolist() == expected
    assert found.array.dtype == found.datatype.dtype


def test_nan_stays_in_buckets():
    """Nan stays in buckets."""
    (found,) = redacted({"X": "bucket:1"}, tensor("X", [np.nan, 1.5]))
    assert np.isnan(found.array[0])
    assert found.array[1] == 1.0


def test_a_rule_that_does_not_fit_the_datatype_drops():
    """A rule that does not fit the datatype drops."""
    assert redacted({"X": "bucket:10"}, tensor("X", ["37"], "BYTES")) == []


@pytest.mark.parametrize("text", ["", "hsah", "truncate", "truncate:-1", "bucket:0", "bucket:nan", "bucket:x"])
def test_a_rule_that_makes_no_sense_is_told(text):
    """A rule that makes no sense is told."""
    assert rule_problem(text)


def test_the_key_is_made_once_and_for_the_owner_alone(tmp_path):
    """The key is made once and for the owner alone."""
    key = key_of(tmp_path / "state")
    assert key == key_of(tmp_path / "state")
    assert len(key) == 32
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "payloads.key").write_text("garbage")
    with pytest.raises(OSError, match="holds no key"):
        key_of(tmp_path / "key")
    assert (tmp_path / "state" / "payloads.key").stat().st_mode & 0o777 == 0o600
