"""Padding rows of different lengths, cutting what comes out, and the masks that the server fills in."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from penstock.domain.batch import Rows
from penstock.domain.errors import ModelFailed
from penstock.domain.padded_batch import PaddedBatch
from penstock.domain.padding import Mask, Padding, PadRule
from penstock.domain.tensor import DATATYPES, Array

TOKENS = PadRule("tokens", 1, np.array(7, np.int64))
MASK = Mask("mask", 1, (-1, -1), np.array(1, np.int64), TOKENS)
PADDING = Padding((TOKENS, PadRule("mask", 1, np.array(0, np.int64))), (MASK,), {"each": (1,), "square": (1, 2), "one": ()})


def part(rows: int, length: int, start: int = 100) -> Rows:
    """Return rows of distinct tokens, with their mask."""
    tokens = np.arange(start, start + rows * length, dtype=np.int64).reshape(rows, length)
    return Rows(PADDING.completed({"tokens": tokens}), rows)


def model(inputs: Any) -> list[Array]:
    """Answer with the tokens, with their pairs, and with their sum where the mask is 1."""
    tokens, mask = inputs["tokens"], inputs["mask"]
    return [tokens, tokens[:, :, None] * tokens[:, None, :], (tokens * mask).sum(axis=1)]


@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), min_size=1, max_size=6),
    beyond=st.integers(0, 5),
    more=st.integers(0, 3),
)
def test_each_part_gets_its_own_answer_in_its_own_length(sizes: list[tuple[int, int]], beyond: int, more: int) -> None:
    """Whatever the lengths, the length of the run and its size: as if every part had run alone."""
    parts = [part(rows, length, 100 * number) for number, (rows, length) in enumerate(sizes)]
    total, longest = sum(rows for rows, _ in sizes), max(length for _, length in sizes)
    batch = PaddedBatch(parts, ("each", "square", "one"), PADDING, longest + beyond, total + more)

    stacked = batch.stack()
    pieces = batch.split(model(stacked))

    assert {name: array.shape for name, array in stacked.items()} == dict.fromkeys(("tokens", "mask"), (total + more, longest + beyond))
    for each, outputs in zip(parts, pieces, strict=True):
        for seen, wanted in zip(outputs, model(each.inputs), strict=True):
            np.testing.assert_array_equal(seen, wanted)
            assert seen.flags.c_contiguous


def test_padding_stands_behind_the_elements_and_out_of_the_mask() -> None:
    """The declared value fills up the tokens, 0 the mask; rows that are missing in the run are copies of the first."""
    batch = PaddedBatch([part(1, 2), part(1, 3, 200)], ("each",), PADDING, run_rows=3)

    stacked = batch.stack()

    assert stacked["tokens"].tolist() == [[100, 101, 7], [200, 201, 202], [100, 101, 7]]
    assert stacked["mask"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 0]]


def test_mask_of_the_caller_is_padded_too() -> None:
    """What the caller hides stays hidden."""
    given_mask = {"tokens": np.ones((1, 2), np.int64), "mask": np.array([[1, 0]])}
    batch = PaddedBatch([Rows(PADDING.completed(given_mask), 1), part(1, 3)], ("one",), PADDING)

    assert batch.stack()["mask"].tolist() == [[1, 0, 0], [1, 1, 1]]


def test_rows_of_one_length_are_not_copied_for_padding() -> None:
    """A request alone goes in as it is."""
    alone = part(2, 3)
    batch = PaddedBatch([alone], ("each",), PADDING)

    assert batch.stack() is alone.inputs
    assert batch.split([alone.inputs["tokens"]])[0][0] is alone.inputs["tokens"]


@pytest.mark.parametrize("dtype", sorted({row.dtype.str for row in DATATYPES.values()}))
@pytest.mark.parametrize("axis", [1, 2])
def test_every_datatype_is_padded_along_its_axis(dtype: str, axis: int) -> None:
    """Texts, halves and raw bits; the other dimensions stay."""
    rule = PadRule("X", axis, np.array(1, dtype))
    arrays = [np.zeros((1, 2, 2), dtype), np.zeros((1, 3, 2) if axis == 1 else (1, 2, 3), dtype)]
    batch = PaddedBatch([Rows({"X": array}, 1) for array in arrays], ("Y",), Padding((rule,), (), {"Y": (axis,)}))

    stacked = batch.stack()["X"]

    assert stacked.dtype == np.dtype(dtype)
    assert (np.take(stacked[0], 2, axis - 1) == np.array(1, dtype)).all()
    assert [piece.shape for (piece,) in batch.split([stacked])] == [array.shape for array in arrays]


def test_output_that_stops_to_follow_fails_the_model() -> None:
    """Nobody gets a piece of something else: the whole run fails, naming output and shape."""
    batch = PaddedBatch([part(1, 2), part(1, 3)], ("each",), PADDING)

    with pytest.raises(ModelFailed, match=r"length 3 with shape \[2, 4\] for output 'each'"):
        batch.split([np.zeros((2, 4))])


def test_lengths_and_open_shapes_tell_who_may_meet() -> None:
    """Inputs of one length are open along it; a mask of another length is seen."""
    padding = PADDING
    inputs = {"tokens": np.zeros((2, 5), np.int64), "mask": np.zeros((2, 5), np.int64), "other": np.zeros((2, 3))}

    assert padding.lengths(inputs) == {5}
    assert dict(padding.open_shapes(inputs)) == {"tokens": (-1,), "mask": (-1,), "other": (3,)}
    assert padding.lengths(inputs | {"mask": np.zeros((2, 4), np.int64)}) == {4, 5}
