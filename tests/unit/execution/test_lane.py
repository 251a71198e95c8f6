"""Lanes and the threads below them."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pytest

from penstock.domain.batch import Batch, Run
from penstock.domain.errors import Internal, ModelFailed
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, TensorSpec
from penstock.execution.lane import SessionLanes, execute
from penstock.execution.pool import DevicePool

FP32 = DATATYPES["FP32"]
SCHEMA = ModelSchema((TensorSpec("X", FP32, (-1, 1)),), (TensorSpec("Y", FP32, (-1, 1)),), batched=True)


class Part(NamedTuple):
    """Rows of one request."""

    inputs: Mapping[str, Array]
    rows: int


def batch(*tags: float) -> Batch:
    """Return a batch of one part per tag."""
    return Batch([Part({"X": np.array([[tag]], np.float32)}, 1) for tag in tags], ("Y",))


@pytest.fixture
def pool() -> Iterator[DevicePool]:
    """Return two threads, which are ended afterwards."""
    pool = DevicePool("test", 2)
    yield pool
    pool.close()


def test_pool_runs_as_many_tasks_at_once_as_it_has_threads(pool: DevicePool) -> None:
    """Two tasks meet; one thread alone could not let them."""
    meeting = threading.Barrier(3)

    def meet() -> None:
        meeting.wait(10)

    for _ in range(2):
        pool.submit(meet)

    meeting.wait(10)


def test_closed_pool_has_run_everything_submitted_before() -> None:
    """Closing waits for the tasks, and for the end of the threads."""
    pool = DevicePool("test", 2)
    done: list[int] = []

    for number in range(100):
        pool.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    pool.close()

    assert sorted(done) == list(range(100))
    assert not any(thread.name.startswith("penstock-test-") and thread.is_alive() for thread in threading.enumerate())


def test_pool_names_its_threads() -> None:
    """A stack dump tells which device a thread belongs to."""
    names: list[str] = []
    pool = DevicePool("cuda:0", 1)

    pool.submit(lambda: names.append(threading.current_thread().name))
    pool.close()

    assert names == ["penstock-cuda:0-0"]


def test_executed_batch_gives_each_part_its_rows(fake_session: Callable[..., object]) -> None:
    """The session sees one stacked array and only the outputs asked for."""
    session = fake_session(SCHEMA, lambda inputs: [inputs["X"] * 2])

    run = execute(session, batch(1, 2, 3))  # type: ignore[arg-type]

    assert run.error is None
    assert [outputs[0].tolist() for outputs in run.outputs] == [[[2]], [[4]], [[6]]]
    ((inputs, outputs, limit),) = session.asked  # type: ignore[attr-defined]
    assert (inputs["X"].shape, outputs, limit) == ((3, 1), ("Y",), None)


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (ModelFailed("my words"), ModelFailed, "my words"),
        (ValueError("secret /path"), Internal, "its log tells more"),
        (MemoryError(), Internal, "its log tells more"),
    ],
)
def test_failure_is_part_of_the_result(fake_session: Callable[..., object], raised: Exception, kind: type[Exception], words: str) -> None:
    """A lane outlives whatever happens in it; unexpected errors tell the caller nothing of the inside."""

    def fail(_: Mapping[str, Array]) -> list[Array]:
        raise raised

    run = execute(fake_session(SCHEMA, fail), batch(1))  # type: ignore[arg-type]

    assert isinstance(run.error, kind)
    assert words in str(run.error)
    assert "secret" not in str(run.error)


def test_failed_run_does_not_keep_its_batch(fake_session: Callable[..., object]) -> None:
    """What a failed run has held goes with it, not when the garbage collector comes by: tensors, callers, connections."""

    def fail(_: Mapping[str, Array]) -> list[Array]:
        raise ModelFailed("the run was ended") from RuntimeError("the engine's words")

    rows = batch(1)
    row = weakref.ref(rows.parts[0].inputs["X"])
    gc.disable()
    try:
        run = execute(fake_session(SCHEMA, fail), rows)  # type: ignore[arg-type]
        assert run.error is not None
        del run, rows
        assert row() is None
    finally:
        gc.enable()


def test_wrong_number_of_rows_fails_the_batch(fake_session: Callable[..., object]) -> None:
    """An answer that cannot be divided is the model's failure."""
    run = execute(fake_session(SCHEMA, lambda inputs: [inputs["X"][:1]]), batch(1, 2))  # type: ignore[arg-type]

    assert isinstance(run.error, ModelFailed)
    assert run.outputs == []


@pytest.mark.asyncio
async def test_run_comes_back_on_the_event_loop(pool: DevicePool, fake_session: Callable[..., object]) -> None:
    """The session runs on a worker thread, the callback on the loop's."""
    threads: list[str] = []

    def answer(inputs: Mapping[str, Array]) -> list[Array]:
        threads.append(threading.current_thread().name)
        return [inputs["X"]]

    lanes = SessionLanes([(fake_session(SCHEMA, answer), pool)] * 2)  # type: ignore[list-item]
    finished: asyncio.Future[Run] = asyncio.get_running_loop().create_future()

    def done(run: Run) -> None:
        threads.append(threading.current_thread().name)
        finished.set_result(run)

    lanes.run(1, batch(7), done)
    run = await asyncio.wait_for(finished, 10)

    assert run.outputs[0][0].tolist() == [[7]]
    assert threads[0].startswith("penstock-test-")
    assert threads[1] == threading.current_thread().name


@pytest.mark.asyncio
async def test_run_on_the_event_loop_tells_what_it_computed(pool: DevicePool, fake_session: Callable[..., object]) -> None:
    """Not how long it waited: whoever waits for the interpreter uses no processor."""

    def answer(inputs: Mapping[str, Array]) -> list[Array]:
        threading.Event().wait(0.1)
        return [inputs["X"]]

    run = SessionLanes([(fake_session(SCHEMA, answer), pool)]).run_here(0, batch(1))  # type: ignore[list-item]

    assert 0 < run.busy_ns < run.infer_ns / 2


def test_run_that_ends_after_its_loop_is_dropped(fake_session: Callable[..., object]) -> None:
    """A server that has gone leaves no thread in an error."""
    pool, gate = DevicePool("test", 1), threading.Event()

    def answer(inputs: Mapping[str, Array]) -> list[Array]:
        gate.wait(10)
        return [inputs["X"]]

    async def start() -> None:
        lanes = SessionLanes([(fake_session(SCHEMA, answer), pool)])  # type: ignore[list-item]
        lanes.run(0, batch(1), lambda _: pytest.fail("nobody is left to hear of it"))

    asyncio.run(start())
    gate.set()

    pool.close()
