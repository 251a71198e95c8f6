"""How right the latest answers were, once the truth is known: one sliding window for each version and arm."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock.domain.clock import NS_PER_S, Clock, monotonic
from penstock.domain.tensor import Array

FIGURES: Final = ("accuracy", "log_loss", "ece", "mae", "rmse", "reward")
_RIGHT, _LOSS, _CONFIDENCE, _ERROR, _REWARD, _AT = range(6)
_CALIBRATION_BINS: Final = 15
_LEAST_PROBABILITY: Final = 1e-15
_Outcomes = NDArray[np.float64]


class QualityWindow:
    """The outcomes of the latest rows, no older than `window_s`. For one thread."""

    def __init__(self, rows: int = 10_000, window_s: float = float("inf"), clock: Clock = monotonic) -> None:
        self._most: Final = rows
        self._window_s: Final = window_s
        self._clock: Final = clock
        self._kept: _Outcomes = _blank(0)
        self._next = 0
        self.seen = 0
        """Rows since the start."""

    def classified(self, predicted: Array, truth: Array, probabilities: NDArray[np.floating] | None = None) -> None:
        """Take the true class of each row; with probabilities, whose columns are the classes 0, 1, 2..., log loss and calibration too.

        Raises ValueError for a truth of another length, and for a class that the probabilities have no column for.
        """
        _check_length(predicted, truth)
        rows = _blank(len(truth))
        rows[:, _RIGHT] = predicted == truth
        if probabilities is not None:
            rows[:, _LOSS] = _log_loss(probabilities, truth)
            rows[:, _CONFIDENCE] = probabilities.max(axis=1)
        self._take(rows)

    def measured(self, predicted: Array, truth: Array) -> None:
        """Take the true number of each row; raises ValueError for a truth of another length. A NaN is wrong beyond all numbers."""
        _check_length(predicted, truth)
        rows = _blank(len(truth))
        rows[:, _ERROR] = np.where(np.isnan(predicted), np.inf, predicted.astype(np.float64) - truth)
        self._take(rows)

    def rewarded(self, reward: float) -> None:
        """Take a reward for a whole request."""
        rows = _blank(1)
        rows[:, _REWARD] = reward
        self._take(rows)

    @property
    def latest(self) -> _Outcomes:
        """The rows that count now."""
        return self._kept[self._kept[:, _AT] >= self._clock() / NS_PER_S - self._window_s]

    def figures(self) -> dict[str, float]:
        """Return the figures that the window has rows for; see `figures_of`."""
        return figures_of([self.latest])

    def _take(self, rows: _Outcomes) -> None:
        self.seen += len(rows)
        rows[:, _AT] = self._clock() / NS_PER_S
        latest = rows[-self._most :]
        self._grow(len(latest))
        places = (self._next + np.arange(len(latest))) % self._most
        self._kept[places] = latest
        self._next = (self._next + len(latest)) % self._most

    def _grow(self, more: int) -> None:
        """Make room up to the window's size, twice as much each time: most windows are never full."""
        wanted, there = min(self._next + more, self._most), len(self._kept)
        if wanted > there:
            self._kept = np.concatenate([self._kept, _blank(min(max(wanted, 2 * there), self._most) - there)])


class Quality:
    """The windows of one model, by version and arm; those that were not written to for longest go first. For one thread."""

    def __init__(self, window_rows: int = 10_000, most: int = 32, *, window_s: float = float("inf"), clock: Clock = monotonic) -> None:
        self._window: Final[Callable[[], QualityWindow]] = lambda: QualityWindow(window_rows, window_s, clock)
        self._most: Final = most
        self._windows: dict[tuple[str, str], QualityWindow] = {}

    def window(self, version: str, arm: str) -> QualityWindow:
        """Return the window of a version and arm, which begins to exist by being asked for."""
        window = self._windows.pop((version, arm), None) or self._window()
        self._windows[version, arm] = window
        while len(self._windows) > self._most:
            del self._windows[next(iter(self._windows))]
        return window

    def figures(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return the figures by version and arm, in order; each with `rows`, how many count."""
        return self.figures_by(lambda arm: arm)

    def figures_by(self, name: Callable[[str], str]) -> dict[tuple[str, str], dict[str, float]]:
        """Return the figures of all arms together that have one name."""
        groups: dict[tuple[str, str], list[_Outcomes]] = {}
        for version, arm in sorted(self._windows):
            groups.setdefault((version, name(arm)), []).append(self._windows[version, arm].latest)
        return {key: {"rows": sum(map(len, windows)), **figures_of(windows)} for key, windows in groups.items()}


def figures_of(windows: Iterable[_Outcomes]) -> dict[str, float]:
    """Return the figures that there are rows for, over some windows together.

    `ece` is the expected calibration error over 15 bins of equal width (M. Naeini et al., 2015), of the largest probability.
    """
    outcomes = np.concatenate([_blank(0), *windows])
    right, loss, confidence, error, reward = (column[~np.isnan(column)] for column in outcomes.T[:_AT])
    found: dict[str, float] = {}
    if len(right):
        found["accuracy"] = float(right.mean())
    if len(loss):
        known = ~np.isnan(outcomes[:, _CONFIDENCE])
        found |= {"log_loss": float(loss.mean()), "ece": _calibration_error(confidence, outcomes[known, _RIGHT])}
    if len(error):
        found |= {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt(np.square(error).mean()))}
    if len(reward):
        found["reward"] = float(reward.mean())
    return found


def _blank(rows: int) -> _Outcomes:
    return np.full((rows, 6), np.nan)


def _check_length(predicted: Array, truth: Array) -> None:
    if truth.shape != predicted.shape:
        raise ValueError(
            f"the truth has the shape {list(truth.shape)}, but the prediction had {list(predicted.shape)}; send one value a row"
        )


def _log_loss(probabilities: NDArray[np.floating], truth: NDArray[Any]) -> _Outcomes:
    classes = probabilities.shape[1]
    if truth.dtype.kind not in "iu" or not ((truth >= 0) & (truth < classes)).all():
        raise ValueError(f"the truth holds a class that is not a whole number from 0 to {classes - 1}, as the probabilities have it")
    given = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    loss: _Outcomes = -np.log(np.clip(given, _LEAST_PROBABILITY, 1.0))
    return loss


def _calibration_error(confidence: _Outcomes, right: _Outcomes) -> float:
    bins = np.minimum((confidence * _CALIBRATION_BINS).astype(np.intp), _CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, right - confidence, _CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))
