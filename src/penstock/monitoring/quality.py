"""How right the latest answers were, once the truth is known: one sliding window for each version and arm."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock.monitoring.recent_predictions import Prediction

FIGURES: Final = ("accuracy", "log_loss", "ece", "mae", "rmse", "reward")
_RIGHT, _LOSS, _CONFIDENCE, _ERROR, _REWARD = range(5)
_CALIBRATION_BINS: Final = 15
_LEAST_PROBABILITY: Final = 1e-15


class QualityWindow:
    """The outcomes of the latest rows. For one thread."""

    def __init__(self, rows: int = 10_000) -> None:
        self._outcomes: Final = np.full((rows, 5), np.nan)
        self._next = 0
        self.seen = 0
        """Rows since the start."""

    def classified(self, prediction: Prediction, truth: NDArray[Any]) -> None:
        """Take the true class of each row; with probabilities, whose columns are the classes 0, 1, 2..., log loss and calibration too.

        Raises ValueError for a truth of another length, and for a class that the probabilities have no column for.
        """
        _check_length(prediction, truth)
        rows = _blank(len(truth))
        rows[:, _RIGHT] = prediction.predicted == truth
        if prediction.probabilities is not None:
            rows[:, _LOSS] = _log_loss(prediction.probabilities, truth)
            rows[:, _CONFIDENCE] = prediction.probabilities.max(axis=1)
        self._take(rows)

    def measured(self, prediction: Prediction, truth: NDArray[Any]) -> None:
        """Take the true number of each row; raises ValueError for a truth of another length."""
        _check_length(prediction, truth)
        rows = _blank(len(truth))
        rows[:, _ERROR] = prediction.predicted.astype(np.float64) - truth
        self._take(rows)

    def rewarded(self, reward: float) -> None:
        """Take a reward for a whole request."""
        rows = _blank(1)
        rows[:, _REWARD] = reward
        self._take(rows)

    def figures(self) -> dict[str, float]:
        """Return the figures that the window has rows for.

        `ece` is the expected calibration error over 15 bins of equal width (M. Naeini et al., 2015), of the largest probability.
        """
        right, loss, confidence, error, reward = (column[~np.isnan(column)] for column in self._outcomes.T)
        found: dict[str, float] = {}
        if len(right):
            found["accuracy"] = float(right.mean())
        if len(loss):
            known = ~np.isnan(self._outcomes[:, _CONFIDENCE])
            found |= {"log_loss": float(loss.mean()), "ece": _calibration_error(confidence, self._outcomes[known, _RIGHT])}
        if len(error):
            found |= {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt(np.square(error).mean()))}
        if len(reward):
            found["reward"] = float(reward.mean())
        return found

    def _take(self, rows: NDArray[np.float64]) -> None:
        kept = len(self._outcomes)
        self.seen += len(rows)
        latest = rows[-kept:]
        places = (self._next + np.arange(len(latest))) % kept
        self._outcomes[places] = latest
        self._next = (self._next + len(latest)) % kept


class Quality:
    """The windows of one model, by version and arm; those that were not written to for longest go first. For one thread."""

    def __init__(self, window_rows: int = 10_000, most: int = 32) -> None:
        self._window_rows: Final = window_rows
        self._most: Final = most
        self._windows: dict[tuple[str, str], QualityWindow] = {}

    def window(self, version: str, arm: str) -> QualityWindow:
        """Return the window of a version and arm, which begins to exist by being asked for."""
        window = self._windows.pop((version, arm), None) or QualityWindow(self._window_rows)
        self._windows[version, arm] = window
        while len(self._windows) > self._most:
            del self._windows[next(iter(self._windows))]
        return window

    def figures(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the figures by version and arm, in order."""
        return {key: self._windows[key].figures() for key in sorted(self._windows)}


def _blank(rows: int) -> NDArray[np.float64]:
    return np.full((rows, 5), np.nan)


def _check_length(prediction: Prediction, truth: NDArray[Any]) -> None:
    if truth.shape != prediction.predicted.shape:
        raise ValueError(
            f"the truth has the shape {list(truth.shape)}, but the prediction had {list(prediction.predicted.shape)}; send one value a row"
        )


def _log_loss(probabilities: NDArray[np.floating], truth: NDArray[Any]) -> NDArray[np.float64]:
    classes = probabilities.shape[1]
    if truth.dtype.kind not in "iu" or not ((truth >= 0) & (truth < classes)).all():
        raise ValueError(f"the truth holds a class that is not a whole number from 0 to {classes - 1}, as the probabilities have it")
    given = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    loss: NDArray[np.float64] = -np.log(np.clip(given, _LEAST_PROBABILITY, 1.0))
    return loss


def _calibration_error(confidence: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    bins = np.minimum((confidence * _CALIBRATION_BINS).astype(np.intp), _CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, right - confidence, _CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))
