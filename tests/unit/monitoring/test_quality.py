"""Figures of quality agree with scikit-learn, slide, and stay apart by version and arm."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, root_mean_squared_error

from penstock.monitoring.quality import Quality, QualityWindow
from penstock.monitoring.recent_predictions import Prediction


def classifier(rows: int, seed: int = 1) -> tuple[Prediction, np.ndarray]:
    """A model that knows its own chances, and the truth."""
    source = np.random.default_rng(seed)
    probabilities = source.dirichlet(np.ones(3), rows)
    truth = np.array([source.choice(3, p=each) for each in probabilities])
    return Prediction("1", "stable", probabilities.argmax(axis=1), probabilities), truth


def test_accuracy_and_log_loss_agree_with_scikit_learn() -> None:
    """Three classes, probabilities that mean something."""
    prediction, truth = classifier(500)
    window = QualityWindow()

    window.classified(prediction, truth)

    found = window.figures()
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, prediction.predicted))
    assert found["log_loss"] == pytest.approx(log_loss(truth, prediction.probabilities))


def test_a_calibrated_model_has_a_small_calibration_error_and_a_boastful_one_a_large_one() -> None:
    """Who is always sure is wrong by as much as is not right."""
    prediction, truth = classifier(20_000)
    honest, boastful = QualityWindow(20_000), QualityWindow(20_000)
    sure = np.eye(3)[prediction.predicted]

    honest.classified(prediction, truth)
    boastful.classified(prediction._replace(probabilities=sure), truth)

    assert honest.figures()["ece"] < 0.03
    assert boastful.figures()["ece"] == pytest.approx(1 - boastful.figures()["accuracy"])


def test_errors_of_numbers_agree_with_scikit_learn() -> None:
    """FP32 predictions, FP64 truth."""
    source = np.random.default_rng(2)
    predicted, truth = source.random(100).astype(np.float32), source.random(100)
    window = QualityWindow()

    window.measured(Prediction("1", "stable", predicted), truth)

    assert window.figures() == pytest.approx(
        {"mae": mean_absolute_error(truth, predicted), "rmse": root_mean_squared_error(truth, predicted)}
    )


def test_only_the_latest_rows_count() -> None:
    """The window slides by rows."""
    window = QualityWindow(rows=4)
    told = Prediction("1", "stable", np.array([1, 1, 1]))
    window.classified(told, np.array([0, 0, 0]))
    window.classified(told, np.array([1, 1, 1]))

    assert window.figures() == {"accuracy": 0.75}
    assert window.seen == 6


def test_more_rows_than_the_window_leave_the_latest() -> None:
    """One answer may be longer than the window."""
    window = QualityWindow(rows=2)

    window.classified(Prediction("1", "stable", np.array([1, 1, 1, 1])), np.array([0, 0, 1, 1]))

    assert window.figures() == {"accuracy": 1.0}


def test_rewards_are_averaged() -> None:
    """A reward is of a request, whatever it predicted."""
    window = QualityWindow()
    window.rewarded(1)
    window.rewarded(0)

    assert window.figures() == {"reward": 0.5}


@pytest.mark.parametrize(("truth", "words"), [([1], "shape"), ([1, 3, 0], "from 0 to 2"), ([0.5, 1, 1], "whole number")])
def test_a_truth_that_does_not_fit_is_refused_and_changes_nothing(truth: list[float], words: str) -> None:
    """Of another length, an unknown class, no class at all."""
    window = QualityWindow()

    with pytest.raises(ValueError, match=words):
        window.classified(Prediction("1", "stable", np.array([1, 1, 1]), np.full((3, 3), 1 / 3)), np.array(truth))

    assert (window.figures(), window.seen) == ({}, 0)


def test_versions_and_arms_are_told_apart_and_the_idlest_go_first() -> None:
    """The number of windows is bounded."""
    quality = Quality(most=2)
    quality.window("1", "stable").rewarded(1)
    quality.window("2", "canary").rewarded(0)
    quality.window("1", "stable").rewarded(1)
    quality.window("3", "pinned").rewarded(0.5)

    assert quality.figures() == {("1", "stable"): {"reward": 1.0}, ("3", "pinned"): {"reward": 0.5}}
