"""Requests stacked for one run, and how to split the result."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

import numpy as np

from penstock.domain.errors import ModelFailed, PenstockError
from penstock.domain.halt import Halt
from penstock.domain.tensor import Array


class Part(Protocol):
    """What one request contributes to a batch."""

    @property
    def inputs(self) -> Mapping[str, Array]:
        """The arrays by name."""

    @property
    def rows(self) -> int:
        """How many rows each of them has."""


class Rows(NamedTuple):
    """Rows that belong to no request."""

    inputs: Mapping[str, Array]
    rows: int


class Batch:
    """Parts that agree in input names, dtypes and all dimensions but the first."""

    __slots__ = ("again", "halt", "outputs", "parts", "rows", "run_rows")

    def __init__(self, parts: Sequence[Part], outputs: tuple[str, ...], run_rows: int | None = None) -> None:
        """`run_rows` is the size of the run where the device has compiled only some; the rows that are missing are copies of the first."""
        self.parts = parts
        self.outputs = outputs
        self.rows = sum([part.rows for part in parts])
        """Rows of all parts together."""
        self.run_rows = self.rows if run_rows is None else run_rows
        self.halt: Halt | None = None
        """Ends the run early; None for a run that nobody can end."""
        self.again = False
        """Whether the rows were in a run that has failed."""

    def stack(self) -> Mapping[str, Array]:
        """Return the inputs of the run; a single part's arrays are passed on without a copy."""
        if len(self.parts) == 1 and self.run_rows == self.rows:
            return self.parts[0].inputs
        return {name: self._stacked([part.inputs[name] for part in self.parts]) for name in self.parts[0].inputs}

    def split(self, outputs: Sequence[Array]) -> list[list[Array]]:
        """Return each part's rows of each output, as views.

        Raises `ModelFailed` if an output does not have one row for each row that went in: no caller may get another's.
        """
        if len(self.parts) == 1 and self.run_rows == self.rows:
            return [list(outputs)]
        for name, output in zip(self.outputs, outputs, strict=True):
            self._check_rows(name, output)
        ends = list(accumulate([part.rows for part in self.parts]))
        bounds = zip([0, *ends], ends, strict=False)
        return [[output[start:end] for output in outputs] for start, end in bounds]

    def _stacked(self, arrays: list[Array]) -> Array:
        if self.run_rows > self.rows:
            arrays = [*arrays, np.repeat(arrays[0][:1], self.run_rows - self.rows, axis=0)]
        return np.concatenate(arrays)

    def _check_rows(self, name: str, output: Array) -> None:
        if output.ndim == 0 or output.shape[0] != self.run_rows:
            raise ModelFailed(f"the model answered a batch of {self.run_rows} rows with shape {list(output.shape)} for output {name!r}")


class Run:
    """What became of a batch in a lane."""

    __slots__ = ("busy_ns", "error", "infer_ns", "input_ns", "output_ns", "outputs")

    def __init__(
        self,
        outputs: list[list[Array]] | None = None,
        error: PenstockError | None = None,
        *,
        input_ns: int = 0,
        infer_ns: int = 0,
        output_ns: int = 0,
        busy_ns: int = 0,
    ) -> None:
        self.outputs: list[list[Array]] = [] if outputs is None else outputs
        """Outputs by part; empty if the run failed."""
        self.error = error
        self.input_ns = input_ns
        self.infer_ns = infer_ns
        self.output_ns = output_ns
        self.busy_ns = busy_ns
        """What of that time the event loop computed, where it ran the batch itself; the rest it waited for other threads."""

    @property
    def total_ns(self) -> int:
        """Time that the lane was taken."""
        return self.input_ns + self.infer_ns + self.output_ns
