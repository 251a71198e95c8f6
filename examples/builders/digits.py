"""digits: which digit an 8x8 image shows. Version 1 is linear, version 2 a small convolutional net."""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch import nn

from builders.artifact import Array, Built, accuracy, model_of, write
from builders.training import fit, seed, weights_of

LINEAR = """digits (float[batch,8,8] image) => (int64[batch] label, float[batch,10] probabilities)
<float brightest = {16.0}>
{
    scaled = Div (image, brightest)
    pixels = Flatten <axis = 1> (scaled)
    scores = Gemm <transB = 1> (pixels, weight, bias)
    label = ArgMax <axis = 1, keepdims = 0> (scores)
    probabilities = Softmax <axis = 1> (scores)
}"""

CONVOLUTIONAL = """digits (float[batch,8,8] image) => (int64[batch] label, float[batch,10] probabilities)
<float brightest = {16.0}, int64[1] channel = {1}>
{
    scaled = Div (image, brightest)
    plane = Unsqueeze (scaled, channel)
    conv1 = Conv <pads = [1, 1, 1, 1]> (plane, conv1_weight, conv1_bias)
    strokes = Relu (conv1)
    conv2 = Conv <pads = [1, 1, 1, 1]> (strokes, conv2_weight, conv2_bias)
    shapes = Relu (conv2)
    pooled = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (shapes)
    flat = Flatten <axis = 1> (pooled)
    scores = Gemm <transB = 1> (flat, linear_weight, linear_bias)
    label = ArgMax <axis = 1, keepdims = 0> (scores)
    probabilities = Softmax <axis = 1> (scores)
}"""


class DigitNet(nn.Module):
    """The net of `CONVOLUTIONAL`, for training; images come in scaled to 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.linear = nn.Linear(32 * 4 * 4, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return one score per digit and image."""
        strokes = self.conv1(images.unsqueeze(1)).relu()
        shapes = self.conv2(strokes).relu()
        scores: torch.Tensor = self.linear(nn.functional.max_pool2d(shapes, 2).flatten(1))
        return scores


def build(root: Path) -> list[Built]:
    """Train both versions on 75 % of the images and measure them on the other 25 %."""
    digits = load_digits()
    train, test, train_labels, test_labels = train_test_split(
        digits.images.astype(np.float32), digits.target, test_size=0.25, stratify=digits.target, random_state=7
    )
    paths = [write_linear(root, train, train_labels), write_convolutional(root, train, train_labels)]
    write_settings(root / "digits")
    return [Built(path, accuracy(path, "label", test, test_labels)) for path in paths]


def write_linear(root: Path, images: Array, labels: Array) -> Path:
    """Write version 1, a logistic regression."""
    regression = LogisticRegression(max_iter=1000).fit(images.reshape(-1, 64) / 16, labels)
    weights = {"weight": regression.coef_.astype(np.float32), "bias": regression.intercept_.astype(np.float32)}
    return write(root, "digits", 1, model_of(LINEAR, weights))


def write_convolutional(root: Path, images: Array, labels: Array) -> Path:
    """Write version 2, the convolutional net."""
    # A digit stays the same digit one pixel further left or right.
    moved = np.concatenate([np.roll(images, pixels, axis=2) for pixels in (-1, 0, 1)])
    seed(7)
    net = DigitNet()
    fit(net, torch.from_numpy(moved / 16), torch.from_numpy(np.tile(labels, 3)), epochs=15)
    return write(root, "digits", 2, model_of(CONVOLUTIONAL, weights_of(net)))


def write_settings(directory: Path) -> None:
    """Serve both versions; version 1 answers until version 2 is promoted."""
    (directory / "aliases.json").write_text(json.dumps({"champion": "1", "challenger": "2"}) + "\n")
    (directory / "model.toml").write_text('versions = "all"\n')
