"""The first rows of a version, until there are enough for a reference; and how a reference is made of a sample of any origin."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from penstock.domain.tensor import Array
from penstock.monitoring.columns import Block, Columns
from penstock.monitoring.reference import Reference, categories_of, reference_of_columns


class Sample:
    """Gathers rows. For one thread."""

    def __init__(self, columns: Columns, rows: int) -> None:
        """`rows` are wanted."""
        self.rows = 0
        self._columns: Final = columns
        self.wanted: Final = rows
        self._blocks: list[Block] = []

    def add(self, block: Block) -> Reference | None:
        """Take rows; returns the reference as soon as there are enough. None then means that no feature tells anything."""
        self._blocks.append(block)
        self.rows += len(block[0])
        if not self.is_full:
            return None
        whole = [np.concatenate(pieces)[: self.wanted] for pieces in zip(*self._blocks, strict=True)]
        self._blocks.clear()
        return reference_of_sample(self._columns.named(whole))[0]

    @property
    def is_full(self) -> bool:
        """Whether there are as many rows as wanted."""
        return self.rows >= self.wanted


def reference_of_sample(columns: Mapping[str, NDArray[Any]]) -> tuple[Reference | None, dict[str, str]]:
    """Return the reference of the columns that tell something, None if none does, and by feature why the others do not.

    Infinities count as the largest numbers: they are there, and far away. Raises ValueError as `reference_of` does.
    """
    mute = {name: problem for name, column in columns.items() if (problem := _problem(column))}
    telling = {name: column if column.dtype.hasobject else finite(column) for name, column in columns.items() if name not in mute}
    return (reference_of_columns(telling) if telling else None), mute


def finite(numbers: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the numbers with the largest ones in place of infinities; NaN stays."""
    most = np.finfo(numbers.dtype).max
    near: NDArray[np.floating] = np.clip(numbers, -most, most)
    return near


def _problem(column: Array) -> str:
    if column.dtype.hasobject:
        return "" if categories_of(column) else "no text occurs in one of 200 rows"
    return "it has no value in the sample" if np.isnan(column).all() else ""
