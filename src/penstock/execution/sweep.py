"""How fast a model runs, by concurrent lanes, threads of each run and rows: real sessions, real threads.

ONNX Runtime does not divide a batch over threads by itself, so that many runs on one thread each often beat one wide run; which of
them wins depends on the graph and on the machine, so it is measured.
"""

import contextlib
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from time import monotonic, monotonic_ns
from typing import Final, NamedTuple

from penstock.domain.clock import NS_PER_S
from penstock.domain.errors import PenstockError
from penstock.domain.halt import Halt
from penstock.domain.schema import ModelSchema
from penstock.domain.session import Session
from penstock.execution.synthetic import synthetic_inputs

ROUNDS: Final = 3
"""How often every cell is measured: whatever else the machine does then rarely falls on all rounds of one plan."""
_LEAST_RUNS: Final = 2
_FALLEN: Final = 0.9
_LOST: Final = 2
"""Sizes in a row below `_FALLEN` of the best one before it, after which larger ones are not tried."""
_LEAST_CELL_S: Final = 0.02


class Layout(NamedTuple):
    """How the cores are shared out: runs at once, and ONNX Runtime's threads inside each."""

    lanes: int
    threads: int

    def __str__(self) -> str:
        return f"{self.lanes} x {self.threads}"


class Cell(NamedTuple):
    """What one layout does with batches of one size."""

    layout: Layout
    rows: int
    rows_per_s: float
    """Of all lanes together."""
    p50_ns: int
    """Of one run."""
    runs: int


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What is measured, and for how long."""

    layouts: Sequence[Layout]
    sizes: Sequence[int]
    """Rows of a run, ascending."""
    seconds: float
    """The most that all of it takes, but for opening sessions and a run under way, which is ended."""


OpenLayout = Callable[[Layout], Session]


def layouts(cores: int, *, on_cpu: bool) -> list[Layout]:
    """Return the layouts worth trying: one wide run, a run for each core, and two of half the cores; on a GPU, one and two runs."""
    if not on_cpu:
        return [Layout(1, 1), Layout(2, 1)]
    tried = [Layout(1, cores), Layout(cores, 1), Layout(2, max(1, cores // 2))]
    return [layout for layout in dict.fromkeys(tried) if layout.lanes <= cores]


def sweep(plan: SweepPlan, schema: ModelSchema, open_layout: OpenLayout) -> Generator[Cell, None, None]:
    """Yield the cells as they are measured, round by round and one session at a time; blocks.

    Cells come again in each round. Closing the iterator, or an interrupt, ends what runs. Raises what `open_layout` raises, and
    `ModelFailed` or `OutOfMemory` if not even one row can be run; a larger size that fails ends its layout.
    """
    budget = _Budget(plan)
    for layout in _in_turn(plan.layouts):
        if budget.spent:
            return
        with contextlib.closing(open_layout(layout)) as session:
            yield from _sizes(session, schema, layout, plan.sizes, budget)


def best_rounds(cells: Iterable[Cell]) -> list[Cell]:
    """Return each layout's and size's best round, in the order of layouts and rows: what disturbs a run only makes it slower."""
    best: dict[tuple[Layout, int], Cell] = {}
    for cell in cells:
        known = best.get((cell.layout, cell.rows))
        if known is None or cell.rows_per_s > known.rows_per_s:
            best[cell.layout, cell.rows] = cell
    return [best[key] for key in sorted(best)]


def _in_turn(tried: Sequence[Layout]) -> Iterator[Layout]:
    """Yield the layouts once for each round, every other round backwards: a machine that warms up favours none of them."""
    for number in range(ROUNDS):
        yield from reversed(tried) if number % 2 else tried


class _Budget:
    """Shares the time out: each cell gets an equal part of what is left."""

    def __init__(self, plan: SweepPlan) -> None:
        self._until = monotonic() + plan.seconds
        self._left = ROUNDS * len(plan.layouts) * len(plan.sizes)

    @property
    def left_s(self) -> float:
        """Seconds until the end of the sweep."""
        return max(0.0, self._until - monotonic())

    @property
    def spent(self) -> bool:
        """Whether nothing more is to be measured."""
        return not self.left_s

    def take(self) -> float:
        """Return the seconds of the next cell."""
        self._left -= 1
        return max(_LEAST_CELL_S, self.left_s / (self._left + 1))

    def skip(self, cells: int) -> None:
        """Leave the time of so many cells to those that follow."""
        self._left -= cells


def _sizes(session: Session, schema: ModelSchema, layout: Layout, sizes: Sequence[int], budget: _Budget) -> Iterator[Cell]:
    best, lost = 0.0, 0
    for number, rows in enumerate(sizes, 1):
        if budget.spent or lost >= _LOST:
            budget.skip(len(sizes) - number + 1)
            return
        cell = _attempt(session, schema, layout, rows, budget)
        if cell is None:
            budget.skip(len(sizes) - number)
            return
        yield cell
        lost = lost + 1 if cell.rows_per_s < _FALLEN * best else 0
        best = max(best, cell.rows_per_s)


def _attempt(session: Session, schema: ModelSchema, layout: Layout, rows: int, budget: _Budget) -> Cell | None:
    """Return the cell, or None if the size does not fit into memory, the graph or the time; raises if not even one row does."""
    crew = _Crew(session, schema, rows)
    try:
        return crew.cell(layout, budget.take(), budget.left_s)
    except PenstockError:
        if rows == 1:
            raise
        return None


class _Crew:
    """Threads that run the same batch again and again, each on a lane of its own."""

    def __init__(self, session: Session, schema: ModelSchema, rows: int) -> None:
        self._session = session
        self._inputs = synthetic_inputs(schema, rows)
        self._outputs = schema.output_names
        self._rows = rows
        self._until = 0.0
        self._over = False
        self._failure: PenstockError | None = None

    def cell(self, layout: Layout, seconds: float, limit_s: float) -> Cell | None:
        """Measure for so long, at least a few runs; None if there was no time for them before `limit_s`."""
        lanes = [_Lane() for _ in range(layout.lanes)]
        started = monotonic()
        self._until = started + seconds
        self._work_all(lanes, limit_s)
        runs = [run for lane in lanes for run in lane.runs]
        if self._failure is not None:
            raise self._failure
        if len(runs) < _LEAST_RUNS:
            return None
        rate = sum(self._rows * len(lane.runs) * NS_PER_S / lane.span_ns for lane in lanes if lane.runs)
        return Cell(layout, self._rows, rate, int(median(runs)), len(runs))

    def _work_all(self, lanes: list["_Lane"], limit_s: float) -> None:
        start = threading.Barrier(len(lanes))
        threads = [threading.Thread(target=self._work, args=(lane, start), name="penstock-sweep", daemon=True) for lane in lanes]
        alarm = threading.Timer(limit_s, self._end, (lanes,))
        alarm.daemon = True
        try:
            for thread in (alarm, *threads):
                thread.start()
            for lane in lanes:
                lane.over.wait()  # an interrupted Thread.join would take the thread for ended
        finally:  # also at an interrupt: nothing of the sweep runs on
            alarm.cancel()
            self._end(lanes)
            start.abort()
            for thread, lane in zip(threads, lanes, strict=True):
                if thread.ident is not None:
                    lane.over.wait()
                    thread.join()

    def _end(self, lanes: list["_Lane"]) -> None:
        self._over = True
        for lane in lanes:
            lane.halt.ask()

    def _work(self, lane: "_Lane", start: threading.Barrier) -> None:
        try:
            self._session.run(self._inputs, self._outputs, halt=lane.halt)  # the first of a size allocates and chooses algorithms
            start.wait()
            lane.started_ns = monotonic_ns()
            while not self._over and (monotonic() < self._until or len(lane.runs) < _LEAST_RUNS):
                started_ns = monotonic_ns()
                self._session.run(self._inputs, self._outputs, halt=lane.halt)
                lane.ran(started_ns, monotonic_ns())
        except threading.BrokenBarrierError:
            pass  # another lane has failed, or the time is over
        except PenstockError as error:
            start.abort()
            if not lane.halt.asked:
                self._failure = error
        finally:
            lane.over.set()


class _Lane:
    """One thread's runs."""

    def __init__(self) -> None:
        self.halt = Halt()
        self.over = threading.Event()
        """Whether the thread has run for the last time."""
        self.runs: list[int] = []
        """Nanoseconds of each."""
        self.started_ns = 0
        self._ended_ns = 0

    @property
    def span_ns(self) -> int:
        """Nanoseconds of all runs and what Python does between them, as a server's lane does too."""
        return max(1, self._ended_ns - self.started_ns)

    def ran(self, started_ns: int, ended_ns: int) -> None:
        """Take note of a run."""
        self.runs.append(ended_ns - started_ns)
        self._ended_ns = ended_ns
