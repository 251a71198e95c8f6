"""A request held against a model's schema."""

from collections.abc import Sequence

import numpy as np
import pytest

from penstock.domain.errors import InvalidInput
from penstock.domain.request import InferenceRequest
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Tensor, TensorSpec

FP32, INT64 = DATATYPES["FP32"], DATATYPES["INT64"]
SCHEMA = ModelSchema(
    (TensorSpec("a", FP32, (-1, 2)), TensorSpec("b", INT64, (-1,)), TensorSpec("c", FP32, (-1, -1), optional=True)),
    (TensorSpec("y", FP32, (-1, 2)), TensorSpec("z", FP32, (-1,))),
    batched=True,
    max_batch_rows=4,
)


def a(*shape: int) -> Tensor:
    """Return the input `a` in a shape."""
    return Tensor("a", FP32, np.zeros(shape, np.float32))


def b(*shape: int) -> Tensor:
    """Return the input `b` in a shape."""
    return Tensor("b", INT64, np.zeros(shape, np.int64))


def c(*shape: int) -> Tensor:
    """Return the optional input `c` in a shape."""
    return Tensor("c", FP32, np.zeros(shape, np.float32))


def ask(inputs: Sequence[Tensor], *outputs: str) -> InferenceRequest:
    """Return a request."""
    return InferenceRequest("http", "m", "", list(inputs), outputs)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        pytest.param([a(3, 2), b(3)], (), id="all-required"),
        pytest.param([b(1), a(1, 2)], (), id="in-any-order"),
        pytest.param([a(3, 2), b(3), c(3, 9)], (), id="optional-given"),
        pytest.param([a(0, 2), b(0)], (), id="no-rows"),
        pytest.param([a(4, 2), b(4)], (), id="most-rows"),
        pytest.param([a(1, 2), b(1)], ("z", "y"), id="outputs-in-another-order"),
    ],
)
def test_fitting_request_is_accepted(inputs: list[Tensor], outputs: tuple[str, ...]) -> None:
    """Names, datatypes, shapes and rows fit."""
    SCHEMA.check(ask(inputs, *outputs))


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        pytest.param([a(1, 2)], (), ["missing required", "'b'", "a FP32[-1, 2]"], id="input-missing"),
        pytest.param([], (), ["missing required", "'a', 'b'"], id="no-inputs"),
        pytest.param([a(1, 2), b(1), a(1, 2)], (), ["'a'", "already exists"], id="input-twice"),
        pytest.param(
            [a(1, 2), b(1), Tensor("q", FP32, np.zeros(1, np.float32))],
            (),
            ["no input 'q'", "b INT64[-1]"],
            id="unknown",
        ),
        pytest.param([a(1, 2), Tensor("b", FP32, np.zeros(1, np.float32))], (), ["'b'", "FP32", "expects INT64"], id="datatype"),
        pytest.param([a(1, 3), b(1)], (), ["unexpected shape", "'a'", "[1, 3]", "[-1, 2]"], id="dimension"),
        pytest.param([a(1, 2, 1), b(1)], (), ["[1, 2, 1]"], id="rank-above"),
        pytest.param([a(2), b(1)], (), ["[2]"], id="rank-below"),
        pytest.param([a(1, 2), b()], (), ["[]"], id="rank-0"),
        pytest.param([a(2, 2), b(3)], (), ["batch size", "'b' is 3", "'a' is 2"], id="rows-differ"),
        pytest.param([a(5, 2), b(5)], (), ["batch size is 5", "at most 4"], id="too-many-rows"),
        pytest.param([a(1, 2), b(1)], ("x",), ["unexpected inference output 'x'", "y FP32"], id="unknown-output"),
        pytest.param([a(1, 2), b(1)], ("y", "y"), ["'y'", "already exists"], id="output-twice"),
    ],
)
def test_unfit_request_is_refused_with_what_was_seen(inputs: list[Tensor], outputs: tuple[str, ...], words: list[str]) -> None:
    """The refusal names the tensor, the value seen and what is expected."""
    with pytest.raises(InvalidInput) as refused:
        SCHEMA.check(ask(inputs, *outputs))

    assert [word for word in words if word not in refused.value.message] == []


def test_batched_model_asked_with_none_of_its_optional_inputs_is_refused() -> None:
    """Without an input there are no rows, so that the request is invalid rather than a crash."""
    schema = ModelSchema((TensorSpec("c", FP32, (-1, 2), optional=True),), (), batched=True)

    with pytest.raises(InvalidInput, match="no input"):
        schema.check(ask([]))


def test_unbatched_model_counts_one_row() -> None:
    """Without a batch dimension a request is one row, whatever its shape."""
    schema = ModelSchema((TensorSpec("a", FP32, (-1, 2)),), (), batched=False)
    request = ask([a(7, 2)])

    schema.check(request)

    assert schema.rows(request) == 1
    assert SCHEMA.rows(ask([a(3, 2), b(3)])) == 3


@pytest.mark.parametrize(
    ("spec", "uniform"),
    [
        pytest.param(TensorSpec("a", FP32, (-1, 2)), True, id="rows-vary"),
        pytest.param(TensorSpec("a", FP32, (-1, -1)), False, id="another-dimension-varies"),
        pytest.param(TensorSpec("a", FP32, (-1, 2), optional=True), False, id="optional"),
    ],
)
def test_uniform_means_that_only_rows_vary(spec: TensorSpec, uniform: bool) -> None:
    """Only then all requests may share a run without a look at their shapes."""
    assert ModelSchema((spec,), (), batched=True).uniform is uniform
