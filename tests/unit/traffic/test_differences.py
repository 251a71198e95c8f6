"""Differences of rows: sizes, places, and what is no number."""

from typing import Any

import numpy as np
import pytest

from penstock.domain.tensor import DATATYPES, Array
from penstock.traffic import differences
from penstock.traffic.differences import RowDifferences, Tolerance, row_differences

TOLERANCE = Tolerance(rtol=0.01, atol=0.1)


def found(primary: Any, shadow: Any, datatype: str = "FP32") -> RowDifferences:
    """Return what is found between two arrays."""
    dtype = DATATYPES[datatype].dtype
    return row_differences(np.array(primary, dtype), np.array(shadow, dtype), DATATYPES[datatype], TOLERANCE)


def test_score_is_in_parts_of_what_numpy_tolerates() -> None:
    """A score of 1 is where `isclose` changes its mind."""
    source = np.random.default_rng(5)
    primary = source.normal(size=(200, 30)) * 10
    shadow = primary + source.normal(size=(200, 30)) * 0.1

    rows = row_differences(primary, shadow, DATATYPES["FP64"], TOLERANCE)

    close = np.isclose(shadow, primary, rtol=TOLERANCE.rtol, atol=TOLERANCE.atol)
    assert rows.outside.tolist() == (~close).sum(axis=1).tolist()
    assert 0 < (rows.score > 1).sum() < 200
    assert np.allclose(rows.largest, np.abs(shadow - primary).max(axis=1))
    assert np.allclose(rows.relative, (np.abs(shadow - primary) / np.abs(primary)).max(axis=1))
    assert np.allclose(rows.total, np.abs(shadow - primary).sum(axis=1))


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Large tensors are looked at in parts."""
    source = np.random.default_rng(6)
    primary, shadow = source.normal(size=(9, 23)), source.normal(size=(9, 23))
    shadow[4, 11] = np.nan
    whole = row_differences(primary, shadow, DATATYPES["FP64"], TOLERANCE)

    monkeypatch.setattr(differences, "_BLOCK", block)
    parts = row_differences(primary, shadow, DATATYPES["FP64"], TOLERANCE)

    for one, other in zip(whole, parts, strict=True):
        assert np.allclose(one, other)


@pytest.mark.parametrize(
    ("primary", "shadow", "score"),
    [
        (np.nan, np.nan, 0.0),
        (np.inf, np.inf, 0.0),
        (1.0, np.nan, np.inf),
        (np.nan, 1.0, np.inf),
        (np.inf, -np.inf, np.inf),
        (1.0, np.inf, np.inf),
        (0.0, -0.0, 0.0),
    ],
)
def test_what_is_no_number_equals_itself_only(primary: float, shadow: float, score: float) -> None:
    """And no size tells how far it is from a number."""
    rows = found([[1.0, primary]], [[1.0, shadow]])

    assert rows.score.tolist() == [score]
    assert rows.largest.tolist() == [0.0]
    assert rows.outside.tolist() == [int(score > 0)]
    assert rows.worst.tolist() == [int(score > 0)]
    assert (rows.nan_primary[0], rows.nan_shadow[0]) == (np.isnan(primary), np.isnan(shadow))


@pytest.mark.parametrize(
    ("datatype", "primary", "shadow"),
    [
        ("INT64", [[1, 2**62]], [[1, 2**62 + 1]]),
        ("UINT64", [[1, 2**64 - 1]], [[1, 2**64 - 2]]),
        ("BOOL", [[True, True]], [[True, False]]),
        ("BYTES", [["a", "b"]], [["a", "c"]]),
    ],
)
def test_whole_numbers_truths_and_texts_have_to_be_equal(datatype: str, primary: Any, shadow: Any) -> None:
    """A label is not nearly another one; not even where a float could not tell them apart."""
    rows = found(primary, shadow, datatype)

    assert (rows.score.tolist(), rows.outside.tolist(), rows.worst.tolist()) == ([np.inf], [1], [1])
    assert found(primary, primary, datatype).score.tolist() == [0.0]


def test_bf16_is_compared_by_value() -> None:
    """Its raw bits say nothing: 1.0 and the next larger number are 0.0078 apart."""
    one: Array = np.array([[0x3F80]], np.uint16)

    rows = row_differences(one, one + 1, DATATYPES["BF16"], TOLERANCE)

    assert rows.largest.tolist() == [2**-7]
    assert rows.score[0] == pytest.approx(2**-7 / 0.11)
