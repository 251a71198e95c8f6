"""The measurement of lanes, threads and rows, over a session whose speed is known."""

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pytest

from penstock.domain.errors import ModelFailed, OutOfMemory
from penstock.domain.halt import Halt
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, TensorSpec
from penstock.execution.sweep import Cell, Layout, SweepPlan, best_rounds, layouts, sweep

FP32 = DATATYPES["FP32"]
SCHEMA = ModelSchema((TensorSpec("X", FP32, (-1, 2)),), (TensorSpec("Y", FP32, (-1, 2)),), batched=True)


class Timed:
    """Runs take what a function of their rows says, and as many go on at once as threads ask."""

    def __init__(self, seconds_of: Callable[[int], float]) -> None:
        self.schema = SCHEMA
        self.placement = {"cpu": 1.0}
        self.opened: list[Layout] = []
        self.open = 0
        self.most_open = 0
        self.most_running = 0
        self._seconds_of = seconds_of
        self._running = 0
        self._lock = threading.Lock()

    def opened_for(self, layout: Layout) -> "Timed":
        self.opened.append(layout)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        return self

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], limit_s: float | None = None, halt: Halt | None = None
    ) -> list[Array]:
        assert halt is not None
        with self._lock:
            self._running += 1
            self.most_running = max(self.most_running, self._running)
        ended = threading.Event()
        halt.when_asked(ended.set)
        try:
            if ended.wait(self._seconds_of(len(inputs["X"]))):
                raise ModelFailed("the run was ended")
        finally:
            with self._lock:
                self._running -= 1
        return [inputs["X"]]

    def close(self) -> None:
        self.open -= 1


def swept(session: Timed, tried: Sequence[Layout], sizes: Sequence[int], seconds: float) -> list[Cell]:
    """Return the cells of a whole sweep."""
    return list(sweep(SweepPlan(tried, sizes, seconds), SCHEMA, session.opened_for))


def workers() -> list[str]:
    """Return the threads of sweeps that are still there."""
    return [thread.name for thread in threading.enumerate() if thread.name == "penstock-sweep"]


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(1, [(1, 1)]), (2, [(1, 2), (2, 1)]), (3, [(1, 3), (3, 1), (2, 1)]), (8, [(1, 8), (8, 1), (2, 4)])],
)
def test_layouts_share_the_cores_out(cores: int, expected: list[tuple[int, int]]) -> None:
    """No two are the same, and none has more lanes than cores."""
    assert layouts(cores, on_cpu=True) == expected


def test_gpu_is_tried_with_one_run_and_with_two() -> None:
    """Threads are for CPUs."""
    assert layouts(8, on_cpu=False) == [(1, 1), (2, 1)]


def test_rate_and_time_of_a_run_are_measured() -> None:
    """A run of four rows takes 40 ms, so one lane makes a hundred rows a second and two make twice as many."""
    session = Timed(lambda rows: rows / 100)

    cells = best_rounds(swept(session, [Layout(1, 1), Layout(2, 1)], [4], 1.5))

    assert [cell.layout for cell in cells] == [(1, 1), (2, 1)]
    for cell in cells:
        assert 3.9e7 < cell.p50_ns < 20e7  # a busy machine wakes late
        assert cell.rows_per_s == pytest.approx(4e9 / cell.p50_ns * cell.layout.lanes, rel=0.5)
    assert session.most_running == 2


def test_rounds_take_turns_and_one_session_is_open_at_a_time() -> None:
    """What disturbs one moment does not fall on one layout, and a model that fills the memory fits as often as it does when served."""
    session = Timed(lambda rows: 0.001)
    one, two = Layout(1, 2), Layout(2, 1)

    swept(session, [one, two], [1], 1.5)

    assert session.opened == [one, two, two, one, one, two]
    assert (session.most_open, session.open) == (1, 0)


def test_larger_sizes_are_not_tried_after_two_that_lost() -> None:
    """A model that suffers from batches is not made to suffer through all of them."""
    session = Timed(lambda rows: 0.001 * rows**3)

    cells = swept(session, [Layout(1, 1)], [1, 2, 4, 8, 16], 3)

    assert {cell.rows for cell in cells} == {1, 2, 4}


def test_size_that_fails_ends_its_layout_only() -> None:
    """Memory may hold fewer rows than the settings allow."""

    def seconds_of(rows: int) -> float:
        if rows > 2:
            raise OutOfMemory("out of memory")
        return 0.001

    cells = swept(Timed(seconds_of), [Layout(1, 1), Layout(2, 1)], [1, 2, 4, 8], 0.5)

    assert {(cell.layout, cell.rows) for cell in cells} == {((1, 1), 1), ((1, 1), 2), ((2, 1), 1), ((2, 1), 2)}


def test_model_that_cannot_run_a_row_is_an_error() -> None:
    """There is nothing to choose."""

    def refuse(rows: int) -> float:
        raise ModelFailed("indices are out of range")

    with pytest.raises(ModelFailed, match="out of range"):
        swept(Timed(refuse), [Layout(2, 1)], [1, 2], 0.5)
    assert workers() == []


def test_time_is_kept_although_runs_are_slow() -> None:
    """A run under way at the end is ended, and what was not measured is left out."""
    session = Timed(lambda rows: 0.05 if rows == 1 else 60.0)
    started = time.monotonic()

    cells = swept(session, [Layout(2, 1)], [1, 2], 0.6)

    assert time.monotonic() - started < 30
    assert {cell.rows for cell in cells} == {1}
    assert workers() == []


def test_interrupt_ends_the_runs_and_closes_the_session() -> None:
    """Whoever presses Ctrl-C gets the cores back."""
    session = Timed(lambda rows: 60.0)
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        swept(session, [Layout(2, 1)], [1], 30)

    assert workers() == []
    assert session.open == 0


def test_best_round_of_each_cell_counts() -> None:
    """What disturbs a run never makes it faster."""
    cells = [Cell(Layout(1, 1), 1, rate, 100, 9) for rate in (80.0, 100.0, 90.0)]

    assert best_rounds(cells) == [cells[1]]
