"""Train a small torch classifier the same way every time."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from builders.artifact import Array

BATCH_ROWS = 64


def seed(value: int) -> None:
    """Make what torch does next repeatable: one thread, one seed, no racing algorithms."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(value)


def fit(net: nn.Module, rows: torch.Tensor, labels: torch.Tensor, epochs: int) -> None:
    """Train `net` in place; the learning rate falls to zero over the epochs."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(rows)), BATCH_ROWS):
            optimizer.zero_grad()
            torch.autograd.backward(cross_entropy(net(rows[chosen]), labels[chosen]))
            optimizer.step()
        schedule.step()


def weights_of(net: nn.Module) -> dict[str, Array]:
    """Return the trained weights under names that ONNX's text syntax can hold: `conv1.weight` is `conv1_weight`."""
    return {name.replace(".", "_"): tensor.numpy() for name, tensor in net.state_dict().items()}
