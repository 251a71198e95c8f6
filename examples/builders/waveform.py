"""waveform: the shape of a periodic signal of any length, by a small 1-D convolutional net."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from builders.artifact import Array, Built, accuracy, model_of, write
from builders.training import fit, seed, weights_of

# In the order of the classes: 0 noise, 1 sine, 2 square, 3 sawtooth.
SHAPES = ("noise", "sine", "square", "sawtooth")

LENGTH = 128

GRAPH = """waveform (float[batch,length] signal) => (int64[batch] class, float[batch,4] probabilities)
<int64[1] channel = {1}, float floor = {0.000001}>
{
    mean = ReduceMean <axes = [1], keepdims = 1> (signal)
    centred = Sub (signal, mean)
    squares = Mul (centred, centred)
    variance = ReduceMean <axes = [1], keepdims = 1> (squares)
    safe_variance = Add (variance, floor)
    deviation = Sqrt (safe_variance)
    scaled = Div (centred, deviation)
    track = Unsqueeze (scaled, channel)
    conv1 = Conv <pads = [4, 4]> (track, conv1_weight, conv1_bias)
    edges = Relu (conv1)
    conv2 = Conv <pads = [4, 4]> (edges, conv2_weight, conv2_bias)
    motifs = Relu (conv2)
    average = GlobalAveragePool (motifs)
    peak = GlobalMaxPool (motifs)
    pooled = Concat <axis = 1> (average, peak)
    flat = Flatten <axis = 1> (pooled)
    scores = Gemm <transB = 1> (flat, linear_weight, linear_bias)
    class = ArgMax <axis = 1, keepdims = 0> (scores)
    probabilities = Softmax <axis = 1> (scores)
}"""


class WaveNet(nn.Module):
    """The net of `GRAPH`, for training; it pools over time, so that any length will do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, 16, 9, padding=4)
        self.conv2 = nn.Conv1d(16, 32, 9, padding=4)
        self.linear = nn.Linear(64, len(SHAPES))

    def forward(self, signals: torch.Tensor) -> torch.Tensor:
        """Return one score per shape and signal."""
        centred = signals - signals.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        motifs = self.conv2(self.conv1(scaled.unsqueeze(1)).relu()).relu()
        scores: torch.Tensor = self.linear(torch.cat([motifs.mean(2), motifs.amax(2)], 1))
        return scores


def build(root: Path) -> list[Built]:
    """Train on 4,000 synthetic signals of 128 samples, write version 1 and measure it on 1,000 others."""
    random = np.random.default_rng(7)
    train, labels = signals(random, 4000)
    seed(7)
    net = WaveNet()
    fit(net, torch.from_numpy(train), torch.from_numpy(labels), epochs=10)
    path = write(root, "waveform", 1, model_of(GRAPH, weights_of(net)))
    return [Built(path, accuracy(path, "class", *signals(random, 1000)))]


def signals(random: np.random.Generator, rows: int) -> tuple[Array, Array]:
    """Return noisy signals of random shape, period, phase, height and offset, and the class of each."""
    labels = random.integers(0, len(SHAPES), rows)
    period, phase = random.uniform(8, 40, (rows, 1)), random.uniform(0, 1, (rows, 1))
    turns = (np.arange(LENGTH) / period + phase) % 1.0
    clean = np.stack([np.zeros_like(turns), np.sin(2 * np.pi * turns), np.sign(turns - 0.5), 2 * turns - 1])
    loudness = np.where(labels == 0, 1.0, random.uniform(0, 0.7, rows))[:, None]
    noisy = clean[labels, np.arange(rows)] + loudness * random.normal(0, 1, (rows, LENGTH))
    # A negative height turns the signal over: a sawtooth may rise or fall.
    height, offset = random.uniform(-5, 5, (rows, 1)), random.uniform(-10, 10, (rows, 1))
    return (noisy * height + offset).astype(np.float32), labels
