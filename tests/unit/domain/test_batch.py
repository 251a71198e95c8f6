"""Stacking parts and splitting what comes out."""

from collections.abc import Mapping
from typing import NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from penstock.domain.batch import Batch, Run
from penstock.domain.errors import ModelFailed
from penstock.domain.tensor import DATATYPES, Array

DTYPES = sorted({row.dtype.str for row in DATATYPES.values()})


class Part(NamedTuple):
    """Rows of one request."""

    inputs: Mapping[str, Array]
    rows: int


@given(
    rows=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    shape=st.lists(st.integers(0, 3), max_size=3),
    dtype=st.sampled_from(DTYPES),
)
def test_split_of_stack_is_what_went_in(rows: list[int], shape: list[int], dtype: str) -> None:
    """Every part gets back exactly its own rows, of every datatype and shape."""
    marks = iter(range(10_000))
    arrays = []
    for count in rows:
        cells = [next(marks) for _ in range(count * int(np.prod(shape, dtype=int)))]
        arrays.append(np.array(cells, dtype=int).astype(dtype).reshape(count, *shape))
    batch = Batch([Part({"X": array}, len(array)) for array in arrays], ("Y", "Z"))

    stacked = batch.stack()["X"]
    pieces = batch.split([stacked, stacked])

    assert batch.rows == sum(rows) == len(stacked)
    for array, outputs in zip(arrays, pieces, strict=True):
        for output in outputs:
            assert output.dtype == array.dtype
            np.testing.assert_array_equal(output, array)


def test_single_part_is_passed_on_without_a_copy() -> None:
    """Alone in a run, arrays go in and come out as they are."""
    array = np.zeros((2, 3), np.float32)
    batch = Batch([Part({"X": array}, 2)], ("Y",))

    assert batch.stack()["X"] is array
    assert batch.split([array])[0][0] is array


def test_pieces_are_views_of_the_output() -> None:
    """Splitting copies nothing."""
    output = np.zeros((3, 2), np.float32)
    batch = Batch([Part({}, 1), Part({}, 2)], ("Y",))

    pieces = batch.split([output])

    assert all(np.shares_memory(piece, output) for (piece,) in pieces)


@pytest.mark.parametrize("shape", [(), (2, 2), (4, 2), (0,)], ids=str)
def test_output_without_one_row_per_row_fails_the_model(shape: tuple[int, ...]) -> None:
    """Nobody may get another's rows: the whole run fails, naming output and shape."""
    batch = Batch([Part({}, 1), Part({}, 2)], ("Y", "Z"))

    with pytest.raises(ModelFailed) as failed:
        batch.split([np.zeros(3, np.float32), np.zeros(shape, np.float32)])

    assert "'Z'" in failed.value.message
    assert f"3 rows with shape {list(shape)}" in failed.value.message


def test_run_takes_the_sum_of_its_stages() -> None:
    """A lane is taken while stacking, running and splitting."""
    assert Run(input_ns=1, infer_ns=20, output_ns=300).total_ns == 321
