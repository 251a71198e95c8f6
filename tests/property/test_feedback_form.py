"""Whatever a truth is, it is read as it was meant, in full and in short; and whatever a body is, it is read or refused."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.domain.errors import InvalidInput
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, RAW_ONLY, TensorSpec
from penstock.http.feedback_form import said, word_of

WIRES = sorted(DATATYPES.keys() - RAW_ONLY)
VALUES = {
    "b": st.booleans(),
    "O": st.text(max_size=5),
    "f": st.floats(allow_nan=False, allow_infinity=False, width=32),
    "i": st.integers(-128, 127),
    "u": st.integers(0, 255),
}


@st.composite
def truths(draw: Any) -> tuple[TensorSpec, np.ndarray]:
    """An output, and a truth about it; no scores in whole numbers, which are places and not values."""
    datatype = DATATYPES[draw(st.sampled_from(WIRES))]
    row = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    rows = draw(st.integers(1, 4))
    size = int(np.prod((rows, *row)))
    values = draw(st.lists(VALUES[datatype.dtype.kind], min_size=size, max_size=size))
    array = np.empty(size, datatype.dtype)
    array[:] = values
    free = draw(st.booleans())
    spec = TensorSpec("Y", datatype, (-1, *(-1 if free else dim for dim in row)))
    return spec, array.reshape(rows, *row)


def read(spec: TensorSpec, outputs: Any) -> np.ndarray:
    """Return the truth that a body holds."""
    document = json.loads(json.dumps({"id": "a", "outputs": outputs}))
    (tensor,) = word_of(said(document), [ModelSchema((), (spec,), batched=True)]).truth
    assert tensor.name == "Y"
    return tensor.array


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether two arrays are equal in all."""
    return one.shape == other.shape and one.dtype == other.dtype and one.tolist() == other.tolist()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(truths())
def test_a_truth_means_the_same_in_full_and_in_short(truth: tuple[TensorSpec, np.ndarray]) -> None:
    """As a tensor with a flat list, nested, and by its name alone."""
    spec, array = truth
    tensor = {"name": "Y", "datatype": spec.datatype.wire, "shape": list(array.shape)}

    assert same(read(spec, [tensor | {"data": array.ravel().tolist()}]), array)
    assert same(read(spec, [tensor | {"data": array.tolist()}]), array)
    assert same(read(spec, {"Y": array.tolist()}), array)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(truths())
def test_a_flat_list_is_as_many_rows_as_it_has_values_for(truth: tuple[TensorSpec, np.ndarray]) -> None:
    """Where the model fixes the length of a row; whole numbers for several scores are the places of the right ones."""
    spec, array = truth
    fixed = TensorSpec("Y", spec.datatype, (-1, *array.shape[1:]))
    values = array.ravel().tolist()
    found = read(fixed, {"Y": values})

    if array.ndim == 2 and array.shape[1] > 1 and all(type(value) is int for value in values):
        assert found.tolist() == values
        assert found.dtype == np.int64
    else:
        assert same(found, array)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "outputs", "reward", "name", "Y", "data", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(JSON | st.fixed_dictionaries({"id": st.just("a"), "outputs": JSON}))
def test_every_body_is_read_or_refused(document: Any) -> None:
    """No other error ever comes out, and what is read names known outputs."""
    schema = ModelSchema((), (TensorSpec("Y", DATATYPES["FP32"], (-1, 3)), TensorSpec("x", DATATYPES["BYTES"], (-1,))), batched=True)
    with contextlib.suppress(InvalidInput):
        word = word_of(said(document), [schema])
        assert (word.reward is None) == bool(word.truth)
        assert {tensor.name for tensor in word.truth} <= {"Y", "x"}


@pytest.mark.parametrize("data", [[[1.0, 2.0, 3.0], [4.0]], [], [[]], [[[1.0, 2.0, 3.0]]]])
def test_ragged_and_empty_lists_are_refused(data: Any) -> None:
    """Nobody can tell which rows are meant."""
    with pytest.raises(InvalidInput):
        read(TensorSpec("Y", DATATYPES["FP32"], (-1, 3)), {"Y": data})


@pytest.mark.parametrize("reward", [10**400, -(10**400), float("inf"), float("nan"), True], ids=["vast", "-vast", "inf", "nan", "true"])
def test_reward_that_no_double_holds_is_refused(reward: object) -> None:
    """However it came to be written."""
    with pytest.raises(InvalidInput, match="the reward is"):
        said({"id": "a", "reward": reward})


def test_long_unknown_key_is_told_as_quickly_as_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it might have meant is guessed by its beginning: the comparison takes time for each letter."""
    compared = list[str]()
    monkeypatch.setattr("penstock.http.feedback_form.get_close_matches", lambda key, *_: compared.append(key) or ["id"])

    with pytest.raises(InvalidInput, match="did you mean 'id'"):
        said({"id": "a", "reward": 1, "ab" * 100_000: 1})
    assert len(compared[0]) <= 64
