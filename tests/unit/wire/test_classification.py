"""The classification extension."""

import numpy as np
import pytest

from penstock.domain.errors import InvalidInput
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec
from penstock.wire.classification import check_classification, classify

CLASSIFIABLE = [name for name in DATATYPES if name not in ("FP16", "BF16", "BYTES")]


def tensor(values: object, datatype: str = "FP32") -> Tensor:
    """Return the output Y."""
    return Tensor("Y", DATATYPES[datatype], np.array(values, dtype=DATATYPES[datatype].dtype))


def test_rows_give_their_highest_values_first() -> None:
    """Each row of a batch has its own k best, floats with six decimals, with labels as far as there are any."""
    found = classify(tensor([[0.1, 3.3, 2.0], [5, 4, 6]]), 2, ("a", "b"), batched=True)

    assert (found.name, found.datatype.wire) == ("Y", "BYTES")
    assert found.array.tolist() == [["3.300000:1:b", "2.000000:2"], ["6.000000:2", "5.000000:0:a"]]


def test_output_without_a_batch_is_one_row() -> None:
    """All dimensions are classes."""
    found = classify(tensor([[1, 4], [3, 2]], "INT32"), 3, (), batched=False)

    assert found.array.tolist() == ["4:1", "3:2", "2:3"]


def test_inner_dimensions_are_flattened() -> None:
    """The classes of a row are all its elements."""
    found = classify(tensor([[[1, 4], [3, 2]]], "INT32"), 1, (), batched=True)

    assert found.array.tolist() == [["4:1"]]


@pytest.mark.parametrize("batched", [True, False])
def test_k_is_cut_to_the_number_of_classes(batched: bool) -> None:
    """Asking for more than there is gives all."""
    found = classify(tensor([[2, 1]]), 99, (), batched=batched)

    assert found.array.shape == ((1, 2) if batched else (2,))


def test_zero_rows_give_zero_rows() -> None:
    """An empty batch has the shape of its classes and no texts."""
    found = classify(tensor(np.zeros((0, 4))), 3, (), batched=True)

    assert found.array.shape == (0, 3)


def test_row_of_rank_one_batch_has_one_class() -> None:
    """A batch of scalars."""
    assert classify(tensor([7, 8], "UINT8"), 3, (), batched=True).array.tolist() == [["7:0"], ["8:0"]]


def test_large_integers_are_ordered_exactly() -> None:
    """Above 2^53 neighbours differ, as integers do."""
    found = classify(tensor([[2**53, 2**53 + 1, 2**53 - 1]], "INT64"), 3, (), batched=True)

    assert found.array.tolist() == [[f"{2**53 + 1}:1", f"{2**53}:0", f"{2**53 - 1}:2"]]


@pytest.mark.parametrize("datatype", [name for name in CLASSIFIABLE if "INT" in name])
def test_extreme_integers_are_ordered(datatype: str) -> None:
    """The lowest and highest values of a datatype do not wrap."""
    limits = np.iinfo(DATATYPES[datatype].dtype)

    found = classify(tensor([[limits.min, limits.max, 1]], datatype), 3, (), batched=True)

    assert found.array.tolist() == [[f"{limits.max}:1", "1:2", f"{limits.min}:0"]]


@pytest.mark.parametrize("datatype", CLASSIFIABLE)
def test_equal_values_stand_in_order_of_index(datatype: str) -> None:
    """Ties are broken the same way every time."""
    found = classify(tensor([[0, 1, 1, 0]], datatype), 4, (), batched=True)

    assert [text.split(":")[1] for text in found.array[0]] == ["1", "2", "0", "3"]


def test_nan_comes_last() -> None:
    """What is no number is never the best class."""
    found = classify(tensor([[np.nan, -np.inf, np.inf]]), 3, (), batched=True)

    assert found.array.tolist() == [["inf:2", "-inf:1", "nan:0"]]


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "BYTES"])
def test_datatype_without_classes_is_refused_before_and_after_the_run(datatype: str) -> None:
    """The refusal names output and datatype."""
    with pytest.raises(InvalidInput, match=f"'Y' is not possible for datatype {datatype}"):
        check_classification(TensorSpec("Y", DATATYPES[datatype], (-1, 4)), 2)
    with pytest.raises(InvalidInput, match=f"'Y' is not possible for datatype {datatype}"):
        classify(tensor([[0]], datatype), 2, (), batched=True)


def test_check_passes_where_nothing_is_asked_or_all_is_well() -> None:
    """An output that is not classified may have any datatype."""
    check_classification(TensorSpec("Y", DATATYPES["FP16"], (-1, 4)), 0)
    check_classification(TensorSpec("Y", DATATYPES["FP32"], (-1, 4)), 2)


def test_more_than_a_million_elements_are_refused() -> None:
    """A caller cannot make the event loop sort without bound."""
    ones = np.ones((2, 500_001), np.float32)

    with pytest.raises(InvalidInput, match="1000002 elements"):
        classify(Tensor("Y", DATATYPES["FP32"], ones), 1, (), batched=True)

    assert classify(Tensor("Y", DATATYPES["FP32"], ones[:, :500_000]), 1, (), batched=True).array.shape == (2, 1)
