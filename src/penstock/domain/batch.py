"""Requests stacked for one run, and how to split the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

import numpy as np

from penstock.domain.errors import ModelFailed, PenstockError
from penstock.domain.tensor import Array


class Part(Protocol):
    """What one request contributes to a batch."""

    inputs: Mapping[str, Array]
    rows: int


class Batch:
    """Parts that agree in input names, dtypes and all dimensions but the first."""

    __slots__ = ("outputs", "parts", "rows")

    def __init__(self, parts: Sequence[Part], outputs: tuple[str, ...]) -> None:
        self.parts = parts
        self.outputs = outputs
        self.rows = sum([part.rows for part in parts])
        """Rows of all parts together."""

    def stack(self) -> Mapping[str, Array]:
        """Return the inputs of the run; a single part's arrays are passed on without a copy."""
        if len(self.parts) == 1:
            return self.parts[0].inputs
        return {name: np.concatenate([part.inputs[name] for part in self.parts]) for name in self.parts[0].inputs}

    def split(self, outputs: Sequence[Array]) -> list[list[Array]]:
        """Return each part's rows of each output, as views.

        Raises `ModelFailed` if an output does not have one row for each row that went in: no caller may get another's.
        """
        if len(self.parts) == 1:
            return [list(outputs)]
        for name, output in zip(self.outputs, outputs, strict=True):
            self._check_rows(name, output)
        ends = list(accumulate([part.rows for part in self.parts]))
        bounds = zip([0, *ends], ends, strict=False)
        return [[output[start:end] for output in outputs] for start, end in bounds]

    def _check_rows(self, name: str, output: Array) -> None:
        if output.ndim == 0 or output.shape[0] != self.rows:
            raise ModelFailed(f"the model answered a batch of {self.rows} rows with shape {list(output.shape)} for output {name!r}")


@dataclass(slots=True)
class Run:
    """What became of a batch in a lane."""

    outputs: list[list[Array]] = field(default_factory=list)
    """Outputs by part; empty if the run failed."""
    error: PenstockError | None = None
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0

    @property
    def total_ns(self) -> int:
        """Time that the lane was taken."""
        return self.input_ns + self.infer_ns + self.output_ns
