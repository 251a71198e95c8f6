"""Runs through bound buffers, as on a device with memory of its own; here that memory is the CPU's."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from penstock.domain.tensor import Array
from penstock.execution.devices import Device
from penstock.execution.session import OrtSession, SessionSettings
from penstock.execution.slabs import Slabs

CPU = Device("cpu")


@pytest.fixture
def session(tmp_path: Path, models: ModuleType) -> Iterator[OrtSession]:
    """Load the perceptron, and let it run as it would on a GPU."""
    models.write_mlp(tmp_path)
    session = OrtSession(tmp_path / "mlp" / "1" / "model.onnx", SessionSettings(CPU))
    yield session
    session.close()


def bind(session: OrtSession) -> Slabs:
    """Make the session bind its inputs; returns the buffers."""
    slabs = session._slabs = Slabs(CPU)
    session._run = session._run_bound
    return slabs


def rows(count: int, seed: int = 0) -> dict[str, Array]:
    """Return seeded inputs of the perceptron."""
    return {"X": np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)}


def test_bound_run_answers_like_a_plain_one(session: OrtSession) -> None:
    """With prepared inputs and with plain ones, again and again, in several sizes."""
    names = session.schema.output_names
    batches = [rows(count, seed) for seed in range(3) for count in (1, 4, 7)]
    plain = [session.run(batch, names) for batch in batches]
    bind(session)

    prepared = [session.run(session.prepare(batch), names) for batch in batches]
    unprepared = [session.run(batch, names) for batch in batches]

    for expected, *others in zip(plain, prepared, unprepared, strict=True):
        assert all(np.array_equal(one, two) for other in others for one, two in zip(expected, other, strict=True))


def test_buffers_are_used_again_and_their_number_is_bounded(session: OrtSession) -> None:
    """One shape needs three: one that runs, one that is filled, one to spare."""
    slabs, names = bind(session), session.schema.output_names

    held = [session.prepare(rows(2, seed)) for seed in range(5)]
    for values in held:
        session.run(values, names)
    first = session.prepare(rows(2))["X"]

    (free,) = slabs._free.values()
    assert len(free) == 2
    assert first in [values["X"] for values in held]


def test_buffer_in_use_is_not_filled_again(session: OrtSession) -> None:
    """The next batch is prepared beside a run: it must not change that run's inputs."""
    bind(session)
    first, second = rows(3, 1), rows(3, 2)
    names = session.schema.output_names

    staged = session.prepare(first)
    session.prepare(second)

    assert np.array_equal(session.run(staged, names)[0], session.run(first, names)[0])


def test_array_that_is_not_contiguous_is_copied_right(session: OrtSession) -> None:
    """Strides do not reach the device."""
    bind(session)
    wide = np.random.default_rng(3).normal(size=(4, 128)).astype(np.float32)
    names = session.schema.output_names
    session.run(session.prepare({"X": np.ascontiguousarray(wide[:, ::2])}), names)

    (got,) = session.run(session.prepare({"X": wide[:, ::2]}), names)[:1]

    assert np.array_equal(got, session.run({"X": np.ascontiguousarray(wide[:, ::2])}, names)[0])


def test_buffers_of_ever_new_shapes_stay_within_the_budget() -> None:
    """What ran longest ago is freed first; what is used stays."""
    slabs = Slabs(CPU, most_bytes=40_000)
    for rows in range(1, 200):
        for shape in (rows, 7):
            slabs.give_back(slabs.fill({"X": np.zeros((shape, 10), np.float32)}))

    assert slabs.kept_bytes <= 40_000
    assert slabs.kept_bytes > 20_000
    assert ("X", (7, 10), "tensor(float)") in slabs._free
    assert ("X", (1, 10), "tensor(float)") not in slabs._free
    assert slabs.kept_bytes == sum(
        value.to_numpy().nbytes if hasattr(value, "to_numpy") else value.numpy().nbytes for kept in slabs._free.values() for value in kept
    )
