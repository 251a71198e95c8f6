"""iris: the species of an iris flower from four lengths, by a scikit-learn pipeline."""

from pathlib import Path

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from builders.artifact import SKLEARN_OPSETS, Built, accuracy, tidied, write


def build(root: Path) -> list[Built]:
    """Train on 70 % of the flowers, write version 1 and measure it on the other 30 %."""
    features, species = load_iris(return_X_y=True)
    train, test, train_species, test_species = train_test_split(
        features.astype(np.float32), species, test_size=0.3, stratify=species, random_state=7
    )
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(train, train_species)
    # Without ZipMap the probabilities are a tensor; a sequence of maps could not be sent over the wire.
    model = convert_sklearn(
        pipeline,
        name="iris",
        initial_types=[("features", FloatTensorType([None, 4]))],
        options={"zipmap": False},
        target_opset=SKLEARN_OPSETS,
    )
    path = write(root, "iris", 1, tidied(model))
    return [Built(path, accuracy(path, "label", test, test_species))]
