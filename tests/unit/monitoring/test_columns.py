"""Which tensors of a model are watched, what their features are called, and their rows as numbers."""

from dataclasses import replace

import numpy as np
import pytest

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, Tensor, TensorSpec
from penstock.monitoring.columns import Columns, sides_of
from penstock.monitoring.drift_watch import DriftWatch
from penstock.monitoring.options import MonitoringOptions
from penstock.monitoring.sample import reference_of_sample


def spec(name: str, wire: str = "FP32", *shape: int, optional: bool = False) -> TensorSpec:
    """Return a declaration whose first dimension is that of rows."""
    return TensorSpec(name, DATATYPES[wire], (-1, *shape), optional=optional)


def tensor(name: str, wire: str, values: object) -> Tensor:
    """Return a tensor of values."""
    return Tensor(name, DATATYPES[wire], np.array(values, DATATYPES[wire].dtype))


def schema(*inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = ()) -> ModelSchema:
    """Return a schema of rows."""
    return ModelSchema(inputs, outputs, batched=True)


def test_features_are_called_as_in_tables_of_recorded_payloads() -> None:
    """Inputs by their name, and by the place in the row where there are several; outputs with a prefix."""
    sides = sides_of(schema(spec("age", "INT64", 1), spec("X", "FP32", 2), outputs=(spec("Y"),)), MonitoringOptions(), {})

    assert (sides.inputs.names, sides.outputs.names) == (["age", "X.0", "X.1"], ["prediction.Y"])


@pytest.mark.parametrize(
    ("options", "redact", "watched", "why"),
    [
        ({}, {"X": "drop"}, ["T"], "name it in monitoring"),
        ({"inputs": ["X"]}, {"X": "drop"}, ["X.0", "X.1"], None),
        ({"inputs": ["*", "X"]}, {"X": "bucket:10"}, ["X.0", "X.1", "T"], None),
        ({"inputs": ["T", "X"]}, {"*": "hash"}, ["X.0", "X.1"], "text"),
        ({}, {"*": "drop", "T": "keep"}, ["T"], "name it"),
        ({"inputs": ["T"]}, {}, ["T"], None),
        ({}, {"X.1": "hash"}, ["T"], "name it in monitoring"),
        ({}, {"X.1": "keep", "Z": "drop"}, ["X.0", "X.1", "T"], None),
        ({"inputs": ["*", "X"]}, {"X.0": "drop"}, ["X.0", "X.1", "T"], None),
    ],
)
def test_what_is_redacted_is_watched_only_as_numbers_and_only_if_it_is_named(options, redact, watched, why) -> None:
    """The rules of recorded payloads hold here too."""
    sides = sides_of(schema(spec("X", "FP32", 2), spec("T", "BYTES", 1)), MonitoringOptions(**options), redact)

    assert sides.inputs.names == watched
    assert why is None or (all(why in reason for reason in sides.unwatched.values()) and sides.unwatched)


@pytest.mark.parametrize(
    ("redact", "watched"), [({"zip": "drop"}, []), ({"street": "drop"}, ["X.0", "X.1"]), ({"*": "drop", "X": "keep", "zip": "hash"}, [])]
)
def test_a_rule_for_a_column_by_its_name_touches_its_tensor(redact, watched) -> None:
    """Else what is kept back from the record would lie in a reference."""
    named = replace(spec("X", "BYTES", 2), columns=("age", "zip"))

    assert sides_of(schema(named), MonitoringOptions(), redact).inputs.names == watched


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ([spec("X", "FP32", -1)], "its rows differ in their shape"),
        ([spec("X", "FP32", 3, 224, 224)], "it has 150528 features, and of 256 in all there is room for 255"),
        ([spec("A"), TensorSpec("X", DATATYPES["FP32"], (4,))], "it has no row for each row of the others"),
        ([spec("X", "FP32", 0)], "its rows are empty"),
        ([spec("X.0"), spec("X", "FP32", 2)], "its features would be called as those of another tensor are"),
    ],
)
def test_tensors_that_have_no_columns_are_left_out_with_the_reason(inputs: list[TensorSpec], why: str) -> None:
    """The others are watched."""
    sides = sides_of(schema(*inputs, outputs=(spec("Y"),)), MonitoringOptions(), {})

    assert sides.unwatched == {"X": why}
    assert sides.outputs.names == ["prediction.Y"]


@pytest.mark.parametrize(
    ("wire", "values", "numbers"),
    [
        ("BOOL", [[True], [False]], [1.0, 0.0]),
        ("INT64", [[2**40], [-1]], [2.0**40, -1.0]),
        ("UINT8", [[255], [0]], [255.0, 0.0]),
        ("FP16", [[0.5], [-2]], [0.5, -2.0]),
        ("BF16", [[0x3F80], [0xC000]], [1.0, -2.0]),
        ("FP64", [[1e300], [np.nan]], [1e300, np.nan]),
    ],
)
def test_every_datatype_becomes_numbers(wire: str, values: list[list[object]], numbers: list[float]) -> None:
    """Exactly."""
    columns = Columns([spec("X", wire, 1)])

    rows = columns.numbers(columns.block([[tensor("X", wire, values)]]))

    np.testing.assert_array_equal(rows[:, 0], numbers)


def test_rows_of_many_requests_are_one_block_and_an_optional_input_may_be_missing() -> None:
    """Missing values are NaN, and empty texts."""
    columns = Columns([spec("A", "FP32", 2), spec("B", "INT32", 1, optional=True), spec("T", "BYTES", 1, optional=True)])
    first = [tensor("A", "FP32", [[1, 2]]), tensor("B", "INT32", [[3]]), tensor("T", "BYTES", [["x"]])]
    second = [tensor("A", "FP32", [[4, 5], [6, 7]])]

    named = columns.named(columns.block([first, second]))

    np.testing.assert_array_equal(named["B"], [3, np.nan, np.nan])
    assert named["T"].tolist() == ["x", "", ""]
    assert named["A.1"].tolist() == [2, 5, 7]


@pytest.mark.parametrize(
    "tensors",
    [
        [tensor("A", "FP32", [[1]])],
        [tensor("A", "FP32", [[1]]), tensor("B", "FP32", [[1], [2]])],
        [tensor("C", "FP32", [[1]])],
    ],
    ids=["lacks one", "uneven", "unknown"],
)
def test_requests_and_answers_that_are_not_whole_are_left_out(tensors: list[Tensor]) -> None:
    """Such as answers of which the caller wanted one output only."""
    columns = Columns([spec("A"), spec("B")])

    assert columns.block([tensors]) == []


def test_name_that_the_model_does_not_have_is_told() -> None:
    """A misspelt input would be one that nobody watches."""
    sides = sides_of(schema(spec("age"), outputs=(spec("Y"),)), MonitoringOptions(inputs=["aeg"], outputs=["y", "*"]), {})

    assert sides.unwatched == {"aeg": "the model has none of that name", "prediction.y": "the model has none of that name"}
    assert (sides.inputs.names, sides.outputs.names) == ([], ["prediction.Y"])


def test_model_without_a_dimension_of_rows_has_one_row() -> None:
    """A scalar, and a vector."""
    columns = Columns([TensorSpec("A", DATATYPES["FP32"], ()), TensorSpec("B", DATATYPES["FP32"], (2,))])

    rows = columns.numbers(columns.block([[tensor("A", "FP32", 1), tensor("B", "FP32", [2, 3])]]))

    assert rows.tolist() == [[1, 2, 3]]


def test_texts_are_categories_by_frequency_and_rare_ones_are_not_kept() -> None:
    """What somebody has typed is nobody's business; it counts as another value all the same."""
    texts = np.array(["de"] * 150 + ["fr"] * 45 + ["me@example.org"] * 2 + [""] * 3, object)[:, None]
    columns = Columns([spec("T", "BYTES", 1)])

    reference, mute = reference_of_sample({"T": texts[:, 0]})

    assert reference is not None
    feature = reference.features[0]
    assert (feature.categories, feature.missing, feature.high, mute) == (["de", "fr"], 3, 2, {})
    assert b"example.org" not in reference.encode()
    np.testing.assert_array_equal(columns.numbers([texts], reference)[[0, 150, 195, 197], 0], [0, 1, 2, np.nan])


def test_category_that_is_new_or_gone_is_drift() -> None:
    """A value that the reference has never seen lies out of its range."""
    columns, source = Columns([spec("T", "BYTES", 1)]), np.random.default_rng(1)
    sample = source.choice(np.array(["a", "b", "c"], object), 2000)
    reference, _ = reference_of_sample({"T": sample})
    assert reference is not None

    def drifting(values: list[str]) -> dict[str, tuple[str, ...]]:
        watch = DriftWatch(reference, window_rows=500)
        watch.add(columns.numbers([source.choice(np.array(values, object), 500)[:, None]], reference))
        return watch.drifting

    assert drifting(["a", "b", "c"]) == {}
    assert set(drifting(["a", "b"])["T"]) >= {"psi", "ks"}
    assert "out_of_range" in drifting(["a", "b", "c", "d"])["T"]


def test_free_text_and_features_without_values_tell_nothing() -> None:
    """They are left out with the reason."""
    reference, mute = reference_of_sample(
        {"T": np.array([f"text {number}" for number in range(500)], object), "N": np.full(500, np.nan), "X": np.arange(500.0)}
    )

    assert reference is not None
    assert [feature.name for feature in reference.features] == ["X"]
    assert mute == {"T": "no text occurs in one of 200 rows", "N": "it has no value in the sample"}


def test_reference_of_texts_does_not_fit_numbers() -> None:
    """A feature that has changed its datatype is not compared; others are, in the reference's own order."""
    columns = Columns([spec("A"), spec("T"), spec("B")])
    reference, _ = reference_of_sample({"B": np.arange(200.0), "T": np.array(["a", "b"] * 100, object), "A": np.arange(200.0)})
    fitting = columns.fitting(reference)
    assert fitting is not None
    assert [feature.name for feature in fitting.features] == ["B", "A"]

    block: list[Array] = [np.array([[1.0]]), np.array([[2.0]]), np.array([[3.0]])]
    assert columns.numbers(block, fitting).tolist() == [[3.0, 1.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_are_values_that_lie_far_away(dtype: type) -> None:
    """They are not missing; and where the sample has some, they are in range."""
    sample, rows = np.arange(1000, dtype=dtype), np.arange(1000, dtype=dtype)
    rows[:50], rows[-50:] = -np.inf, np.inf
    for before, expected in ((sample, {"X": ("out_of_range",)}), (rows, {})):
        reference, _ = reference_of_sample({"X": before})
        assert reference is not None
        watch = DriftWatch(reference, window_rows=1000)
        watch.add(rows[:, None])
        assert watch.drifting == expected
