"""What is judged follows from the schema, or from the settings; each kind of answer is held against the truth as it should be."""

from typing import Any

import numpy as np
import pytest

from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.monitoring.feedback_options import FeedbackOptions
from penstock.monitoring.judging import judge
from penstock.monitoring.quality import QualityWindow
from penstock.monitoring.recent_predictions import Prediction
from penstock.monitoring.target import Target, target_of

LABEL, SCORES = ("label", "INT64", (-1,)), ("scores", "FP32", (-1, 3))
TEXT, NUMBER = ("text", "BYTES", (-1,)), ("number", "FP32", (-1, 1))


def schema(*outputs: tuple[str, str, tuple[int, ...]], labels: tuple[str, ...] = ()) -> ModelSchema:
    """A schema of these outputs."""
    specs = (TensorSpec(name, DATATYPES[wire], shape, labels=labels if name == "scores" else ()) for name, wire, shape in outputs)
    return ModelSchema((), tuple(specs), batched=True)


def target(*outputs: tuple[str, str, tuple[int, ...]], **options: Any) -> Target:
    """What is judged of a model with these outputs."""
    return target_of(schema(*outputs), FeedbackOptions(**options))


def tensor(name: str, wire: str, values: Any) -> Tensor:
    """A tensor of these values."""
    return Tensor(name, DATATYPES[wire], np.array(values, DATATYPES[wire].dtype))


def array(values: Any) -> np.ndarray | None:
    """An array of values as a model gives them; texts are objects."""
    return None if values is None else np.array(values, object if isinstance(values[0], str) else None)


def figures(judged: Target, truth: Tensor, predicted: Any = None, scores: Any = None) -> dict[str, float]:
    """The figures of one prediction, once the truth is known."""
    window = QualityWindow()
    told = Prediction("1", "stable", array(predicted), array(scores))
    assert judge(judged, told, [truth], window) == (window.seen > 0)
    return window.figures()


@pytest.mark.parametrize(
    ("outputs", "options", "found"),
    [
        ([LABEL, SCORES], {}, ("classes", "label", "scores")),
        ([TEXT, SCORES], {}, ("classes", "text", "scores")),
        ([LABEL], {}, ("classes", "label", "")),
        ([SCORES], {}, ("classes", "", "scores")),
        ([("free", "FP64", (-1, -1))], {}, ("classes", "", "free")),
        ([NUMBER], {}, ("numbers", "number", "")),
        ([("flag", "BOOL", (-1, 1)), NUMBER], {}, ("classes", "flag", "")),
        ([("half", "BF16", (-1,))], {}, ("numbers", "half", "")),
        ([LABEL, NUMBER], {"kind": "numbers", "output": "number"}, ("numbers", "number", "")),
        ([LABEL], {"kind": "numbers"}, ("numbers", "label", "")),
        ([NUMBER], {"kind": "classes"}, ("classes", "", "number")),
        ([SCORES], {"kind": "numbers", "output": "scores"}, ("numbers", "scores", "")),
        ([LABEL, ("b", "INT64", (-1,))], {}, ("nothing", "", "")),
        ([LABEL, ("b", "INT64", (-1,)), SCORES], {"output": "b"}, ("classes", "b", "scores")),
        ([LABEL, SCORES, ("more", "FP32", (-1, 8))], {}, ("classes", "label", "")),
        ([LABEL, SCORES, ("more", "FP32", (-1, 8))], {"scores": "more"}, ("classes", "label", "more")),
        ([("deep", "FP32", (-1, 8, 8))], {}, ("nothing", "", "")),
        ([LABEL], {"output": "lable"}, ("nothing", "", "")),
    ],
)
def test_what_is_judged_is_the_only_output_that_can_be_meant(outputs: Any, options: Any, found: Any) -> None:
    """Or what the settings name; where there is a choice, or none, nothing is, and why is told."""
    judged = target(*outputs, **options)

    assert (judged.kind, judged.output, judged.scores) == found
    assert bool(judged.note) == (judged.kind == "nothing")


def test_classes_with_scores_have_accuracy_log_loss_and_calibration() -> None:
    """A class is the place of its score."""
    found = figures(target(LABEL, SCORES), tensor("label", "INT64", [1, 0]), [1, 1], [[0.1, 0.8, 0.1], [0.4, 0.6, 0.0]])

    assert found == pytest.approx({"accuracy": 0.5, "log_loss": -(np.log(0.8) + np.log(0.4)) / 2, "ece": 0.4}, abs=1e-6)


def test_a_model_that_counts_classes_from_one_has_no_log_loss() -> None:
    """Nobody says at which place a class is, so no probability can be read."""
    assert figures(target(LABEL, SCORES), tensor("label", "INT64", [2]), [2], [[0.1, 0.8, 0.1]]) == {"accuracy": 1.0}


def test_the_order_of_classes_can_be_set() -> None:
    """For whole numbers as for texts."""
    numbered = target(LABEL, SCORES, classes=["1", "2", "3"])
    called = target(TEXT, SCORES, classes=["a", "b", "c"])

    one = figures(numbered, tensor("label", "INT64", [2]), [2], [[0.1, 0.8, 0.1]])
    other = figures(called, Tensor("text", DATATYPES["BYTES"], np.array(["b"], object)), ["b"], [[0.1, 0.8, 0.1]])

    assert one == other == pytest.approx({"accuracy": 1.0, "log_loss": -np.log(0.8), "ece": 0.2})


def test_a_label_file_tells_the_order_of_texts() -> None:
    """The labels of the output of scores are its classes."""
    judged = target_of(schema(TEXT, SCORES, labels=("a", "b", "c")), FeedbackOptions())

    assert judged.classes == ("a", "b", "c")


def test_texts_without_an_order_have_accuracy_alone() -> None:
    """They are compared as they are."""
    found = figures(target(TEXT, SCORES), Tensor("text", DATATYPES["BYTES"], np.array(["a"], object)), ["b"], [[0.1, 0.8, 0.1]])

    assert found == {"accuracy": 0.0}


def test_scores_that_are_no_distribution_have_accuracy_alone() -> None:
    """A logarithm of logits would mean nothing."""
    assert figures(target(SCORES), tensor("scores", "INT64", [2]), None, [[-3.0, 1.0, 5.0]]) == {"accuracy": 1.0}


def test_scores_that_are_no_numbers_are_of_no_class() -> None:
    """A classifier that answers nothing is never right; of a row in which only some are none, the highest of the others counts."""
    nothing, rest = [np.nan, np.nan, np.nan], [np.nan, 0.2, 0.1]

    assert figures(target(SCORES), tensor("scores", "INT64", [0, 0, 0, 1]), None, [nothing, nothing, nothing, rest]) == {"accuracy": 0.25}


@pytest.mark.parametrize("truth", [tensor("number", "INT64", [1, 0]), tensor("number", "FP32", [[1.0], [0.0]])])
def test_one_probability_a_row_is_that_of_the_second_class(truth: Tensor) -> None:
    """Binary classifiers often give no more."""
    found = figures(target(NUMBER, kind="classes"), truth, None, [[0.9], [0.2]])

    assert found == pytest.approx({"accuracy": 1.0, "log_loss": -(np.log(0.9) + np.log(0.8)) / 2, "ece": 0.15})


def test_numbers_have_errors_and_bf16_is_read_as_what_it_means() -> None:
    """Its 16 bits are the upper half of an FP32."""
    judged = target(("half", "BF16", (-1,)))
    bits = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype(np.uint16)

    assert figures(judged, tensor("half", "FP32", [1.0, -2.0]), bits) == pytest.approx({"mae": 0.25, "rmse": np.sqrt(0.125)})


def test_several_numbers_a_row_are_judged_one_by_one() -> None:
    """Where the settings say that they are numbers."""
    judged = target(SCORES, kind="numbers", output="scores")

    assert figures(judged, tensor("scores", "FP32", [[1, 2, 3]]), [[1.0, 2.0, 6.0]])["mae"] == 1.0


@pytest.mark.parametrize(
    ("judged", "truth", "predicted", "scores", "words"),
    [
        (target(LABEL), tensor("label", "INT64", [1, 2]), [1], None, "shape"),
        (target(LABEL, SCORES), tensor("label", "INT64", [3]), [1], [[0.1, 0.8, 0.1]], "from 0 to 2"),
        (target(SCORES), tensor("scores", "INT64", [3]), None, [[-9.0, 0.8, 0.1]], "from 0 to 2"),
        (target(SCORES), tensor("scores", "FP32", [[0.0, 0.0, 1.0]]), None, [[0.1, 0.1, 0.8]] * 3, "shape"),
        (target(("two", "FP32", (-1, 2))), tensor("two", "FP32", [[0.0, 1.0]]), None, [[0.1, 0.9]] * 2, "shape"),
        (target(("free", "FP32", (-1, -1))), tensor("free", "FP32", [[2.0]]), None, [[0.1, 0.1, 0.8]], "or 3 scores a row"),
        (target(LABEL, SCORES, classes=["1", "2", "3"]), tensor("label", "INT64", [4]), [1], [[0.1, 0.8, 0.1]], "'4'; the classes are '1'"),
        (target(NUMBER), tensor("number", "FP32", [np.nan]), [1.0], None, "NaN"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused_and_adds_nothing(
    judged: Target, truth: Tensor, predicted: Any, scores: Any, words: str
) -> None:
    """Of another length, an unknown class, no number."""
    window = QualityWindow()
    told = Prediction("1", "stable", array(predicted), array(scores))

    with pytest.raises(ValueError, match=words):
        judge(judged, told, [truth], window)

    assert window.seen == 0
