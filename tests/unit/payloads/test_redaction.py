"""What is redacted is gone."""

import numpy as np
import pytest
from predictions import spec, tensor

from penstock.domain.schema import ModelSchema
from penstock.payloads.key import key_of
from penstock.payloads.options import RecordingOptions
from penstock.payloads.redaction import Redaction
from penstock.payloads.rules import rule_problem
from penstock.payloads.unmatched import unmatched


def redacted(rules, given, key=b"k"):
    """Return what is left of a tensor."""
    return Redaction(rules, key).safe([given], {given.name: spec(given.name)})


def test_a_dropped_tensor_is_not_there():
    """A dropped tensor is not there."""
    assert redacted({"X": "drop"}, tensor("X", [1.0])) == []


def test_an_allow_list_keeps_what_it_names_alone():
    """An allow list keeps what it names alone."""
    redaction = Redaction({"*": "drop", "age": "keep"}, b"")
    kept = redaction.safe([tensor("age", [1.0]), tensor("name", ["a"], "BYTES")], {"age": spec("age"), "name": spec("name")})
    assert [each.name for each in kept] == ["age"]


def test_a_tensor_that_the_model_does_not_know_goes_too():
    """A tensor that the model does not know goes too."""
    redaction = Redaction({"email": "drop"}, b"")
    assert redaction.safe([tensor("emial", ["a@b"], "BYTES")], {"email": spec("email")}) == []


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


FEATURES = [[37.0, 8001.0, 1.5], [41.0, 8002.0, 2.5]]


def by_column(rules, given=None, known=None):
    """Return what is left of a tensor `F` with the columns age, zip and income: shape, datatype and values by name."""
    known = known or spec("F", "age", "zip", "income")
    safe = Redaction(rules, b"k").safe([given or tensor("F", FEATURES)], {"F": known})
    return {each.name: each.array.tolist() for each in safe}


def test_a_column_is_redacted_and_the_others_stay_as_they_are():
    """Each column is a tensor of its own, one value for each row, by the name that somebody gave it."""
    assert by_column({"age": "bucket:10", "F.zip": "drop"}) == {"F.age": [30.0, 40.0], "F.income": [1.5, 2.5]}


def test_a_hashed_column_is_text_and_keeps_its_rows():
    """Equal values have equal hashes, and the columns beside it are numbers still."""
    found = by_column({"zip": "hash"}, tensor("F", [[1.0, 7.0, 0.1], [2.0, 7.0, 0.1]]))
    assert found["F.zip"][0] == found["F.zip"][1]
    assert len(found["F.zip"][0]) == 32
    assert found["F.income"] == tensor("F", [0.1, 0.1]).array.tolist()


def test_an_allow_list_of_columns_keeps_what_it_names_alone():
    """Whether the others are dropped by the star or by the name of their tensor."""
    assert by_column({"*": "drop", "age": "keep"}) == {"F.age": [37.0, 41.0]}
    assert by_column({"F": "drop", "F.income": "keep"}) == {"F.income": [1.5, 2.5]}
    assert by_column({"*": "drop", "F.1": "keep"}, known=spec("F", shape=(-1, 3))) == {"F.1": [8001.0, 8002.0]}


def test_a_rule_for_a_column_that_nobody_can_find_drops_the_tensor():
    """Rather than to record what it was to keep back."""
    assert by_column({"F.zipcode": "drop"}) == {}
    assert by_column({"F.zip": "drop"}, known=spec("F", shape=(-1, 3))) == {}


@pytest.mark.parametrize("given", [[[1.0, 2.0]], [1.0, 2.0, 3.0], [[[1.0, 2.0, 3.0]]], 1.0])
def test_a_tensor_of_another_shape_than_the_models_has_no_columns_to_tell_apart(given):
    """A caller's mistake must not move a value into the column beside."""
    assert by_column({"zip": "drop"}, tensor("F", given)) == {}


def test_a_rule_for_a_column_that_cannot_be_told_from_rows_drops():
    """Where the last dimension counts rows there are no columns; and to cut a column of numbers would cut off rows."""
    assert by_column({"F.1": "keep"}, tensor("F", [1.0, 2.0]), spec("F", shape=(-1,))) == {}
    assert by_column({"zip": "truncate:1", "age": "keep", "*": "drop"}) == {"F.age": [37.0, 41.0]}


def test_columns_of_sequences_keep_their_other_dimensions():
    """The last dimension alone is gone."""
    found = by_column({"zip": "drop"}, tensor("F", [FEATURES]), spec("F", "age", "zip", "income", shape=(-1, -1, 3)))
    assert found["F.age"] == [[37.0, 41.0]]


def test_more_elements_than_the_event_loop_has_time_for_are_not_hashed_but_dropped():
    """As many as the limit are hashed."""
    assert redacted({"X": "hash"}, tensor("X", np.zeros((1, 4096))))
    assert redacted({"X": "hash"}, tensor("X", np.zeros((1, 4097)))) == []


@pytest.mark.parametrize("wire", ["INT8", "UINT8", "INT16", "INT64", "UINT64"])
@pytest.mark.parametrize("width", [1, 7, 100, 128, 255, 256, 10**19])
def test_buckets_of_whole_numbers_are_those_of_exact_arithmetic(wire, width):
    """At both ends of the datatype too, where its own arithmetic would overflow."""
    limits = np.iinfo(tensor("X", [0], wire).array.dtype)
    values = [limits.min, limits.min + 1, 0, 1, limits.max - 1, limits.max]
    (found,) = redacted({"X": f"bucket:{width}"}, tensor("X", values, wire))
    assert found.array.tolist() == [max(int(limits.min), value // width * width) for value in map(int, values)]
    assert found.array.dtype == limits.dtype


def test_columns_of_a_single_row_that_is_no_batch_are_single_values():
    """Of a model without a batch dimension."""
    found = by_column({"zip": "drop", "income": "hash"}, tensor("F", FEATURES[0]), spec("F", "age", "zip", "income", shape=(3,)))
    assert found["F.age"] == 37.0
    assert len(found["F.income"]) == 32


def test_a_column_of_text_keeps_nothing_of_the_columns_beside():
    """Columns share memory with each other alone."""
    given = tensor("F", [["ann", "80331"], ["bob", "10115"]], "BYTES")
    (name,) = Redaction({"zip": "drop"}, b"").safe([given], {"F": spec("F", "name", "zip", wire="BYTES")})
    base = name.array if name.array.base is None else name.array.base
    assert base.size == 2


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("F", True),
        ("F.zip", True),
        ("zip", True),
        ("F.2", True),
        ("F.3", False),
        ("F.zipcode", False),
        ("f", False),
        ("G.zip", False),
        ("G.7", True),
        ("R.0", False),
        ("*", True),
    ],
)
def test_a_name_that_nothing_has_is_told(name, known):
    """Of a tensor whose columns nobody has counted any number may be one."""
    schema = ModelSchema((spec("F", "age", "zip", "income"), spec("G", shape=(-1, -1))), (spec("R", shape=(-1,)),), batched=True)
    assert unmatched(RecordingOptions(redact={name: "drop"}), [schema]) == ([] if known else [name])
