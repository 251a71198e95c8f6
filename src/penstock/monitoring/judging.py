"""The truth held against a prediction: classes by their names, scores by the place of the right one, numbers by their difference."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from penstock.domain.names import shown
from penstock.domain.tensor import DATATYPES, Array, Datatype, Tensor
from penstock.monitoring.quality import QualityWindow
from penstock.monitoring.recent_predictions import Prediction
from penstock.monitoring.target import Target

_SUM_TO_ONE: Final = 1e-3
_EVEN: Final = 0.5
_MATRIX: Final = 2
_BINARY: Final = 2


def judge(target: Target, prediction: Prediction, truth: Sequence[Tensor], window: QualityWindow) -> bool:
    """Add the rows of one prediction to a window; returns whether there was anything to compare. Raises ValueError, and adds nothing.

    What was not asked for, or is not what the target is about, cannot be compared: it is for whoever reads the files.
    """
    by_name = {tensor.name: tensor for tensor in truth}
    said, right = by_name.get(target.output), by_name.get(target.scores)
    if said is not None and prediction.predicted is not None:
        return _judge_output(target, prediction.predicted, said, prediction.scores, window)
    if right is not None and prediction.scores is not None:
        scores = _columns(target, prediction.scores)
        window.classified(_highest(scores), _places(right.array, scores), _probabilities(scores))
        return True
    return False


def _judge_output(target: Target, predicted: Array, said: Tensor, scores: Array | None, window: QualityWindow) -> bool:
    ours, truth = predicted.reshape(-1), said.array.reshape(-1)
    if target.kind == "numbers":
        window.measured(_numbers(ours, target.datatype_of(target.output)), _finite(said))
        return True
    columns = None if scores is None else _columns(target, scores)
    places = None if columns is None else _known_places(target, ours, truth, columns)
    if columns is None or places is None:
        window.classified(ours, truth)
    else:
        window.classified(*places, _probabilities(columns))
    return True


def _known_places(target: Target, ours: Array, truth: Array, scores: Array) -> tuple[Array, Array] | None:
    """Return the classes predicted and true as the places of their scores; None where nobody says which class is at which place."""
    if target.classes:
        place = {name: number for number, name in enumerate(target.classes)}
        if unknown := [name for name in map(_called, truth) if name not in place]:
            raise ValueError(f"the truth holds the class {shown(unknown[0])}; the classes are {', '.join(map(shown, target.classes[:20]))}")
        return _integers([place.get(_called(name), -1) for name in ours]), _integers([place[_called(name)] for name in truth])
    if ours.dtype.hasobject or ours.shape != (len(scores),):
        return None
    ours, truth = ours.astype(np.int64), truth.astype(np.int64)
    # A model that counts its classes from 1, or in another order, shows it: its answer is not the place of its highest score.
    return (ours, truth) if np.array_equal(ours, scores.argmax(axis=1)) else None


def _called(value: object) -> str:
    return value if isinstance(value, str) else str(int(value)) if isinstance(value, np.integer | np.bool_) else str(value)


def _integers(values: list[int]) -> Array:
    return np.array(values, np.int64)


def _columns(target: Target, scores: Array) -> Array:
    """Return the scores as one column for each class; one value a row is the probability of the second of two."""
    numbers = _numbers(scores, target.datatype_of(target.scores))
    if numbers.ndim == _MATRIX and numbers.shape[1] > 1:
        return numbers
    second = numbers.reshape(-1)
    return np.column_stack([1 - second, second])


def _highest(scores: Array) -> Array:
    """Return the place of the highest score in each row; where none is a number, -1, which is nobody's place."""
    lost = np.isnan(scores)
    return np.where(lost.all(axis=1), -1, np.where(lost, -np.inf, scores).argmax(axis=1))


def _places(truth: Array, scores: Array) -> Array:
    """Return the place of the right class in each row, of truth as places, as scores or as the probability of the second of two."""
    classes = scores.shape[1]
    if truth.ndim == _MATRIX and truth.shape[1] == classes:
        return np.asarray(truth.argmax(axis=1))
    flat = truth.reshape(-1)
    if flat.dtype.kind not in "iub" and classes > _BINARY:
        raise ValueError(f"the truth has the shape {list(truth.shape)}; send the places of the right classes, or {classes} scores a row")
    places = flat.astype(np.int64) if flat.dtype.kind in "iub" else np.asarray(flat >= _EVEN).astype(np.int64)
    if places.size and not (places.min() >= 0 and places.max() < classes):
        raise ValueError(f"the truth names a class that is not from 0 to {classes - 1}, the places of the scores")
    return places


def _probabilities(scores: Array) -> Array | None:
    """Return the scores if each row is a distribution; None for such as logits, which no log loss can be taken of."""
    with np.errstate(invalid="ignore"):
        fits = (scores >= 0).all() and (np.abs(scores.sum(axis=1) - 1) <= _SUM_TO_ONE).all()
    return scores if fits else None


def _finite(tensor: Tensor) -> Array:
    numbers = _numbers(tensor.array.reshape(-1), tensor.datatype)
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"the truth of {shown(tensor.name)} holds NaN or an infinity; say nothing of a prediction whose truth is not known"
        )
    return numbers


def _numbers(array: Array, datatype: Datatype) -> Array:
    """Return numbers as FP64; BF16 is held as its raw bits, the upper half of an FP32."""
    if datatype is DATATYPES["BF16"]:
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64)
