"""The probe that decides whether rows may share a run, the first runs, and their inputs."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from penstock.domain.errors import ModelFailed
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, TensorSpec
from penstock.execution.probe import UnsafeBatch, probe_batch
from penstock.execution.session import OrtSession
from penstock.execution.synthetic import synthetic_inputs
from penstock.execution.warmup import sizes, warm_up

OpenGraph = Callable[..., OrtSession]
MakeSession = Callable[..., "OrtSession"]
FP32 = DATATYPES["FP32"]
SCHEMA = ModelSchema((TensorSpec("X", FP32, (-1, 4)),), (TensorSpec("Y", FP32, (-1, 4)),), batched=True)


@pytest.mark.parametrize("name", DATATYPES)
def test_model_of_any_datatype_that_keeps_rows_apart_is_safe(open_graph: OpenGraph, models: object, name: str) -> None:
    """Texts, integers, floats and raw BF16 compare equal to themselves."""
    element = DATATYPES[name].onnx.removeprefix("tensor(")[:-1]
    session = open_graph(f"g ({element}[batch,3] X) => ({element}[batch,3] Y) {{ Y = Identity (X) }}")

    assert probe_batch(session, session.schema, 10.0) is None


def test_model_that_mixes_rows_is_unsafe(open_graph: OpenGraph, models: object) -> None:
    """A row whose answer depends on its neighbours must run alone."""
    session = open_graph(models.MIXES_ROWS)  # type: ignore[attr-defined]

    with pytest.raises(UnsafeBatch, match="'Y' of a row depends on the other rows"):
        probe_batch(session, session.schema, 10.0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda x: x[:1], id="always-one-row"),
        pytest.param(lambda x: x.sum(), id="no-rows"),
        pytest.param(lambda x: np.concatenate([x, x]), id="twice-the-rows"),
        pytest.param(lambda x: np.zeros((len(x), len(x))), id="another-dimension-follows-the-rows"),
    ],
)
def test_output_without_one_row_per_row_is_unsafe(fake_session: MakeSession, answer: Callable[[Array], Array]) -> None:
    """Its rows could not be given back to their callers."""
    session = fake_session(SCHEMA, lambda inputs: [np.asarray(answer(inputs["X"]))])

    with pytest.raises(UnsafeBatch, match="not one row for each row"):
        probe_batch(session, SCHEMA, 10.0)


def test_rounding_of_another_batch_size_is_no_leak(fake_session: MakeSession) -> None:
    """Sums over other batch sizes may differ in their last bits."""

    def rounded(inputs: Mapping[str, Array]) -> list[Array]:
        return [inputs["X"] * np.float32(1 + 1e-6 * len(inputs["X"]))]

    assert probe_batch(fake_session(SCHEMA, rounded), SCHEMA, 10.0) is None


def on_gpu(session: OrtSession) -> OrtSession:
    """Have the session say that it runs on a GPU."""
    session.placement = {"cuda": 1.0}  # type: ignore[misc]
    return session


def test_coarse_rounding_of_a_gpu_is_no_leak(fake_session: MakeSession) -> None:
    """TF32 keeps 10 bits of what it multiplies, and a run of one row takes another kernel than a run of two."""

    def rounded(inputs: Mapping[str, Array]) -> list[Array]:
        return [inputs["X"] + np.float32(4e-3 * len(inputs["X"]))]

    with pytest.raises(UnsafeBatch):
        probe_batch(fake_session(SCHEMA, rounded), SCHEMA, 10.0)
    assert probe_batch(on_gpu(fake_session(SCHEMA, rounded)), SCHEMA, 10.0) is None


def test_leak_below_the_rounding_of_a_gpu_is_found(fake_session: MakeSession) -> None:
    """Beside another neighbour a row rounds as before, whatever the device: what changes came from the neighbour."""

    def leaks(inputs: Mapping[str, Array]) -> list[Array]:
        return [inputs["X"] + np.float32(4e-3) * inputs["X"][::-1]]

    with pytest.raises(UnsafeBatch, match="depends on the other rows"):
        probe_batch(on_gpu(fake_session(SCHEMA, leaks)), SCHEMA, 10.0)


def test_model_that_rejects_made_up_input_is_noted(fake_session: MakeSession) -> None:
    """Some models rightly fail on it: no proof, and a note that says so."""

    def refuse(_: Mapping[str, Array]) -> list[Array]:
        raise ModelFailed("I want real input")

    note = probe_batch(fake_session(SCHEMA, refuse), SCHEMA, 10.0)

    assert note is not None
    assert "unproven: I want real input" in note


@pytest.mark.parametrize(
    ("most", "order"),
    [
        (1, [1]),
        (2, [1, 2]),
        (3, [1, 3, 2]),
        (8, [1, 8, 4, 2]),
        (64, [1, 64, 32, 16, 8, 4, 2]),
        (100, [1, 100, 64, 32, 16, 8, 4, 2]),
    ],
)
def test_sizes_are_both_ends_then_the_powers_between(most: int, order: list[int]) -> None:
    """A time limit leaves the ends measured."""
    assert sizes(most) == order


def test_warm_up_runs_and_measures_every_size(fake_session: MakeSession) -> None:
    """The table has an entry for each size, and nothing is remarked."""
    session = fake_session(SCHEMA, lambda inputs: [inputs["X"]])

    table, note = warm_up(session, SCHEMA, 4, 60.0)

    assert list(table) == [1, 4, 2]
    assert note is None
    asked = [len(inputs["X"]) for inputs, _, _ in session.asked]  # type: ignore[attr-defined]
    assert asked == [1] * 4 + [4] * 4 + [2] * 4
    limits = [limit for _, _, limit in session.asked]  # type: ignore[attr-defined]
    assert all(limit is not None and limit <= 60 for limit in limits[::4]), "the first run of a size is watched"
    assert not any(limits[1:4]), "runs that are known to be short are not: the watch would be measured with them"


def test_warm_up_of_a_model_without_batch_runs_one_size(fake_session: MakeSession) -> None:
    """There is only one."""
    schema = ModelSchema((TensorSpec("X", FP32, (4,)),), (TensorSpec("Y", FP32, (4,)),), batched=False)

    table, _ = warm_up(fake_session(schema, lambda inputs: [inputs["X"]]), schema, 64, 60.0)

    assert list(table) == [1]


def test_warm_up_without_time_stops_with_a_note(fake_session: MakeSession) -> None:
    """A slow model becomes ready with what was measured so far."""
    table, note = warm_up(fake_session(SCHEMA, lambda inputs: [inputs["X"]]), SCHEMA, 8, 0.0)

    assert table == {}
    assert note == "warm-up stopped after 0 s, with 0 sizes measured"


def test_warm_up_of_a_model_that_rejects_made_up_input_is_noted(fake_session: MakeSession) -> None:
    """The failure ends the warm-up, not the load."""

    def refuse(_: Mapping[str, Array]) -> list[Array]:
        raise ModelFailed("no")

    assert warm_up(fake_session(SCHEMA, refuse), SCHEMA, 8, 9.0) == (
        {},
        "warm-up of 1 rows failed on synthetic input: no",
    )


@pytest.mark.parametrize("name", DATATYPES)
@pytest.mark.parametrize("batched", [True, False])
def test_made_up_inputs_fit_the_schema(name: str, batched: bool) -> None:
    """Datatype and shape are right, free dimensions are 1, the same seed gives the same values."""
    specs = (
        TensorSpec("a", DATATYPES[name], (-1, 3, -1)),
        TensorSpec("b", DATATYPES[name], (-1,) if batched else ()),
        TensorSpec("c", DATATYPES[name], (-1,), optional=True),
    )
    schema = ModelSchema(specs, (), batched)

    inputs = synthetic_inputs(schema, 5, seed=3)

    rows = 5 if batched else 1
    assert {key: array.shape for key, array in inputs.items()} == {"a": (rows, 3, 1), "b": (5,) if batched else ()}
    assert all(array.dtype == DATATYPES[name].dtype for array in inputs.values())
    again = synthetic_inputs(schema, 5, seed=3)
    assert all(np.array_equal(array, again[key]) for key, array in inputs.items())


def test_made_up_inputs_are_gentle() -> None:
    """Integers are 0 or 1, so that they are valid as indexes, and texts are words."""
    specs = (TensorSpec("i", DATATYPES["INT64"], (-1, 50)), TensorSpec("t", DATATYPES["BYTES"], (-1, 2)))

    inputs = synthetic_inputs(ModelSchema(specs, (), batched=True), 4)

    assert set(inputs["i"].ravel().tolist()) == {0, 1}
    assert all(isinstance(text, str) for text in inputs["t"].flat)
