"""Requests of different lengths stacked for one run, and the outputs cut back to the length of each."""

from collections.abc import Mapping, Sequence

import numpy as np

from penstock.domain.batch import Batch, Part
from penstock.domain.errors import ModelFailed
from penstock.domain.padding import Padding, PadRule
from penstock.domain.tensor import Array


class PaddedBatch(Batch):
    """Parts that agree in input names, dtypes and all dimensions but the first and the padded ones."""

    __slots__ = ("_follows", "_lengths", "_rules", "length")

    def __init__(
        self, parts: Sequence[Part], outputs: tuple[str, ...], padding: Padding, length: int = 0, run_rows: int | None = None
    ) -> None:
        """`length` is what the run is padded to where that is more than the longest part. Each part has one length."""
        super().__init__(parts, outputs, run_rows)
        self._rules = {rule.name: rule for rule in padding.rules}
        self._follows = padding.follows or {}
        self._lengths = [next(iter(padding.lengths(part.inputs))) for part in parts]
        self.length = max(length, *self._lengths)
        """The length of the run."""

    def stack(self) -> Mapping[str, Array]:
        """Return the inputs of the run; where no part is shorter than the run, nothing is copied for the padding's sake."""
        if min(self._lengths) == self.length:
            return super().stack()
        return {name: self._filled_up(name) for name in self.parts[0].inputs}

    def split(self, outputs: Sequence[Array]) -> list[list[Array]]:
        """Return each part's rows of each output, in its own length: views where nothing is cut, else copies.

        Raises `ModelFailed` like `Batch.split`, and if an output is not of the run's length where the probe has seen that it is.
        """
        pieces = super().split(outputs)
        if min(self._lengths) == self.length:
            return pieces
        for name, output in zip(self.outputs, outputs, strict=True):
            self._check_length(name, output)
        return [self._cut(piece, length) for piece, length in zip(pieces, self._lengths, strict=True)]

    def _filled_up(self, name: str) -> Array:
        arrays = [part.inputs[name] for part in self.parts]
        rule = self._rules.get(name)
        return self._stacked(arrays) if rule is None else self._padded(rule, arrays)

    def _padded(self, rule: PadRule, arrays: list[Array]) -> Array:
        """Return the arrays one above the other, each filled up at the end of its axis."""
        shape = [self.run_rows, *arrays[0].shape[1:]]
        shape[rule.axis] = self.length
        whole = np.full(shape, rule.value, arrays[0].dtype)
        end = 0
        for array in arrays:
            start, end = end, end + len(array)
            whole[start:end][_first(array.shape[rule.axis], rule.axis)] = array
        whole[end:] = whole[:1]
        return whole

    def _check_length(self, name: str, output: Array) -> None:
        for axis in self._follows.get(name, ()):
            if axis >= output.ndim or output.shape[axis] != self.length:
                raise ModelFailed(
                    f"the model answered inputs of length {self.length} with shape {list(output.shape)} for output {name!r}, "
                    f"whose axis {axis} had the inputs' length when it was loaded"
                )

    def _cut(self, outputs: list[Array], length: int) -> list[Array]:
        if length == self.length:
            return outputs
        return [self._shortened(name, output, length) for name, output in zip(self.outputs, outputs, strict=True)]

    def _shortened(self, name: str, output: Array, length: int) -> Array:
        for axis in self._follows.get(name, ()):
            output = output[_first(length, axis)]
        return np.ascontiguousarray(output)


def _first(length: int, axis: int) -> tuple[slice, ...]:
    """Return the index of the first so many entries of an axis."""
    return (*[slice(None)] * axis, slice(length))
