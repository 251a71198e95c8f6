"""How inputs of different lengths become one batch: which axes are filled up, with what, and which axes of the outputs are cut back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from penstock.domain.tensor import Array


class PadRule(NamedTuple):
    """One input whose length may differ between the requests of a run."""

    name: str
    axis: int
    """1 or more; the first axis is the batch."""
    value: Array
    """What fills the axis up: rank 0, of the input's dtype."""


class Mask(NamedTuple):
    """An input that tells elements from padding. Where a caller leaves it out, the server fills it in."""

    name: str
    axis: int
    shape: tuple[int, ...]
    """As the model declares it."""
    one: Array
    """What marks an element: rank 0, of the mask's dtype."""
    source: PadRule
    """The input whose elements are marked."""

    def filled(self, inputs: Mapping[str, Array]) -> Array:
        """Return the mask of inputs that hold no padding."""
        source = inputs[self.source.name]
        shape = [source.shape[0], *self.shape[1:]]
        shape[self.axis] = source.shape[self.source.axis]
        return np.full(shape, self.one)


@dataclass(frozen=True)
class Padding:
    """What is declared of a model's padded inputs, and what the probe has found."""

    rules: tuple[PadRule, ...]
    """The padded inputs, masks included."""
    masks: tuple[Mask, ...] = ()
    follows: Mapping[str, tuple[int, ...]] | None = None
    """The axes of each output that have the inputs' length. None until the probe has shown that padding changes no answer: nothing is
    padded without it."""

    def completed(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the inputs with all masks."""
        missing = [mask for mask in self.masks if mask.name not in inputs]
        return {**inputs, **{mask.name: mask.filled(inputs) for mask in missing}} if missing else inputs

    def lengths(self, inputs: Mapping[str, Array]) -> set[int]:
        """Return the lengths of the padded inputs; only where there is one, other requests of another length may join."""
        return {inputs[rule.name].shape[rule.axis] for rule in self.rules}

    def open_shapes(self, inputs: Mapping[str, Array]) -> Iterable[tuple[str, tuple[int, ...]]]:
        """Yield the inputs with their dimensions beyond the first, -1 where padding makes them equal."""
        axes = {rule.name: rule.axis for rule in self.rules}
        for name, array in inputs.items():
            axis = axes.get(name)
            yield name, array.shape[1:] if axis is None else (*array.shape[1:axis], -1, *array.shape[axis + 1 :])
