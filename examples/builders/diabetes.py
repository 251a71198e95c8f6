"""diabetes: how far the disease progresses within a year, by a random forest."""

from pathlib import Path

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split

from builders.artifact import SKLEARN_OPSETS, Array, Built, answer, tidied, write


def build(root: Path) -> list[Built]:
    """Train on 70 % of the patients, write version 1 and measure it on the other 30 %."""
    features, progression = load_diabetes(return_X_y=True, scaled=False)
    train, test, train_progression, test_progression = train_test_split(
        features.astype(np.float32), progression, test_size=0.3, random_state=7
    )
    forest = RandomForestRegressor(n_estimators=64, max_depth=5, min_samples_leaf=5, random_state=7)
    forest.fit(train, train_progression)
    round_leaves(forest)
    model = convert_sklearn(
        forest,
        name="diabetes",
        initial_types=[("features", FloatTensorType([None, 10]))],
        final_types=[("progression", FloatTensorType([None, 1]))],
        target_opset=SKLEARN_OPSETS,
    )
    path = write(root, "diabetes", 1, tidied(model))
    return [Built(path, errors(path, test, test_progression))]


def round_leaves(forest: RandomForestRegressor) -> None:
    """Round what the leaves say to sixteenths.

    Their mean over 64 trees is exact in float32, so an answer depends neither on the other rows of its batch nor on
    the order in which threads add up the trees.
    """
    for member in forest.estimators_:
        leaves = member.tree_.value
        leaves[:] = np.round(leaves * 16) / 16


def errors(path: Path, rows: Array, truth: Array) -> str:
    """Return how close the written model comes on `rows`, as text."""
    guess = answer(path, "progression", rows)
    r2, mean = r2_score(truth, guess), mean_absolute_error(truth, guess)
    return f"R2 {r2:.2f}, mean absolute error {mean:.1f} on {len(rows)} held-out rows"
