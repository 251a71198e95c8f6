"""Figures of quality agree with scikit-learn, slide, and stay apart by version and arm."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, root_mean_squared_error

from penstock.domain.clock import NS_PER_S
from penstock.domain.route import branch_of
from penstock.http.answers import json_response
from penstock.monitoring.quality import Quality, QualityWindow


def classifier(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a model that knows its own chances predicts, the truth, and the chances."""
    source = np.random.default_rng(seed)
    probabilities = source.dirichlet(np.ones(3), rows)
    truth = np.array([source.choice(3, p=each) for each in probabilities])
    return probabilities.argmax(axis=1), truth, probabilities


def test_accuracy_and_log_loss_agree_with_scikit_learn() -> None:
    """Three classes, probabilities that mean something."""
    predicted, truth, probabilities = classifier(500)
    window = QualityWindow()

    window.classified(predicted, truth, probabilities)

    found = window.figures()
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert found["log_loss"] == pytest.approx(log_loss(truth, probabilities))


def test_a_calibrated_model_has_a_small_calibration_error_and_a_boastful_one_a_large_one() -> None:
    """Who is always sure is wrong by as much as is not right."""
    predicted, truth, probabilities = classifier(20_000)
    honest, boastful = QualityWindow(20_000), QualityWindow(20_000)
    sure = np.eye(3)[predicted]

    honest.classified(predicted, truth, probabilities)
    boastful.classified(predicted, truth, sure)

    assert honest.figures()["ece"] < 0.03
    assert boastful.figures()["ece"] == pytest.approx(1 - boastful.figures()["accuracy"])


def test_errors_of_numbers_agree_with_scikit_learn() -> None:
    """FP32 predictions, FP64 truth."""
    source = np.random.default_rng(2)
    predicted, truth = source.random(100).astype(np.float32), source.random(100)
    window = QualityWindow()

    window.measured(predicted, truth)

    assert window.figures() == pytest.approx(
        {"mae": mean_absolute_error(truth, predicted), "rmse": root_mean_squared_error(truth, predicted)}
    )


def test_an_answer_that_is_no_number_makes_the_error_infinite() -> None:
    """One that is left out would make a model look the better, the less it answers. JSON, which has no infinities, says null."""
    window = QualityWindow()

    window.measured(np.array([1.0, np.nan, 3.0], np.float32), np.array([1.0, 2.0, 3.0]))

    assert window.figures() == {"mae": np.inf, "rmse": np.inf}
    assert json.loads(json_response(window.figures()).body) == {"mae": None, "rmse": None}


def test_only_the_latest_rows_count() -> None:
    """The window slides by rows."""
    window = QualityWindow(rows=4)
    told = np.array([1, 1, 1])
    window.classified(told, np.array([0, 0, 0]))
    window.classified(told, np.array([1, 1, 1]))

    assert window.figures() == {"accuracy": 0.75}
    assert window.seen == 6


def test_more_rows_than_the_window_leave_the_latest() -> None:
    """One answer may be longer than the window."""
    window = QualityWindow(rows=2)

    window.classified(np.array([1, 1, 1, 1]), np.array([0, 0, 1, 1]))

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
        window.classified(np.array([1, 1, 1]), np.array(truth), np.full((3, 3), 1 / 3))

    assert (window.figures(), window.seen) == ({}, 0)


def test_versions_and_arms_are_told_apart_and_the_idlest_go_first() -> None:
    """The number of windows is bounded."""
    quality = Quality(most=2)
    quality.window("1", "stable").rewarded(1)
    quality.window("2", "canary").rewarded(0)
    quality.window("1", "stable").rewarded(1)
    quality.window("3", "pinned").rewarded(0.5)

    assert quality.figures() == {("1", "stable"): {"rows": 2, "reward": 1.0}, ("3", "pinned"): {"rows": 1, "reward": 0.5}}


def test_arms_of_one_name_are_one_figure_and_not_the_mean_of_figures() -> None:
    """Three rows of one arm weigh three times what one of the other does."""
    quality = Quality()
    quality.window("1", "stable").classified(np.array([1, 1, 1]), np.array([1, 1, 1]))
    quality.window("1", "pinned").classified(np.array([1]), np.array([0]))
    quality.window("1", "b").classified(np.array([1]), np.array([1]))

    figures = quality.figures_by(branch_of)

    assert figures == {("1", "stable"): {"rows": 4, "accuracy": 0.75}, ("1", "canary"): {"rows": 1, "accuracy": 1.0}}


def test_rows_no_longer_count_after_their_time() -> None:
    """A version that nobody tells anything of has no figures."""
    now = [0]
    window = QualityWindow(window_s=60, clock=lambda: now[0])
    window.rewarded(1)
    now[0] = 50 * NS_PER_S
    window.rewarded(0)
    assert window.figures() == {"reward": 0.5}

    now[0] = 70 * NS_PER_S
    assert window.figures() == {"reward": 0.0}
    now[0] = 200 * NS_PER_S
    assert window.figures() == {}


def test_a_window_holds_what_it_has_room_for_however_the_rows_are_cut() -> None:
    """It grows as it fills, and goes round when it is full."""
    source = np.random.default_rng(3)
    for most in (1, 7, 64):
        rows = source.integers(0, 2, 200)
        whole, cut = QualityWindow(most), QualityWindow(most)
        whole.classified(np.ones(200, np.int64), rows)
        for part in np.split(rows, np.sort(source.integers(0, 200, 20))):
            cut.classified(np.ones(len(part), np.int64), part)
        assert whole.figures() == cut.figures() == {"accuracy": rows[-most:].mean()}
