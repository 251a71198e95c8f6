"""How long a batch takes: the latency curves of the design's section 4.2, as tables of nanoseconds by rows.

A curve has a service-level objective and a largest batch as a user would declare them; both are the same for every policy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from simulator.row import MS, SECOND

MEAN_LENGTH: Final = 128
"""Of a sequence: what the cost of a row is given for."""


@dataclass(frozen=True)
class Curve:
    """A model on a device."""

    name: str
    table: tuple[int, ...]
    """Nanoseconds of a run by its rows; the first entry, of no rows, is the fixed cost."""
    slo_ns: int
    lanes: int = 1
    shared: bool = False
    """Whether the lanes share one device: their runs then follow one another."""
    drift_ns: int = 0
    """If not 0: how long it takes until everything has become twice as slow."""
    sigma: float = 0.1
    """Of the lognormal noise on every run, whose mean is 1."""
    stragglers: float = 0.0
    """The share of runs that take 5 times as long."""

    @property
    def max_rows(self) -> int:
        """The most rows of one run."""
        return len(self.table) - 1

    @cached_property
    def best_rows(self) -> int:
        """The size of highest throughput among those that keep the objective: the design's b_slo, `(1 + 1/M) * l(b) <= SLO`."""
        turns = 2.0 if self.shared else 1 + 1 / self.lanes
        sizes = [size for size in range(1, self.max_rows + 1) if turns * self.table[size] <= self.slo_ns]
        return max(sizes or [1], key=lambda size: size / self.table[size])

    @property
    def capacity(self) -> float:
        """Rows per second that are called 100 % load."""
        return self._parallel * self.best_rows / self.table[self.best_rows] * SECOND

    @property
    def _parallel(self) -> int:
        return 1 if self.shared else self.lanes

    def time_ns(self, rows: int, length: int, now_ns: int) -> float:
        """Return how long a run takes without noise; `length` is the longest of the batch, to which all are padded."""
        taken: float = self.table[rows]
        if length:
            taken = self.table[0] + (taken - self.table[0]) * length / MEAN_LENGTH
        if self.drift_ns:
            taken *= 1 + min(1.0, now_ns / self.drift_ns)
        return taken


def line(alpha_ms: float, beta_ms: float) -> Callable[[int], float]:
    """Return `alpha + beta * b` in milliseconds."""
    return lambda rows: alpha_ms + beta_ms * rows


def stepped(rows: int) -> float:
    """Return the GPU-like line, 30 % slower after each 32 rows: waves of a GPU."""
    return line(4, 0.1)(rows) * 1.3 ** (max(rows - 1, 0) // 32)


def best_at_50(rows: int) -> float:
    """Return a curve whose throughput falls beyond 50 rows (as in ONNX Runtime's issue 16030)."""
    return line(4, 0.1)(rows) if rows <= 50 else 9 * (rows / 50) ** 1.2


def superlinear(rows: int) -> float:
    """Return the run times of ONNX Runtime's issue 20173: 207 ms for one row, 600 for two, 3320 for ten."""
    return float(np.interp(rows, [0, 1, 2, 10, 16], [100, 207, 600, 3320, 5360]))


def tabled(milliseconds: Callable[[int], float], max_rows: int) -> tuple[int, ...]:
    """Return a function of milliseconds as a table of nanoseconds."""
    return tuple(round(milliseconds(rows) * MS) for rows in range(max_rows + 1))


# The objective is about 4 * l(16), the room of a batch in front, one's own and as much again for bursts, rounded to what people
# ask for. The CPU-like model gets 50 ms instead of 130: batching hardly pays there, and a wide objective would hide it.
GPU: Final = Curve("GPU-like", tabled(line(4, 0.1), 64), 25 * MS)
MEDIUM: Final = Curve("medium", tabled(line(3, 1), 32), 80 * MS)
CPU: Final = Curve("CPU-like", tabled(line(0.2, 2), 32), 50 * MS, lanes=2)

MAIN: Final[Sequence[Curve]] = (GPU, MEDIUM, CPU)

OTHERS: Final[Sequence[Curve]] = (
    Curve("super-linear", tabled(superlinear, 16), 1000 * MS),
    Curve("steps", tabled(stepped, 128), 25 * MS),
    Curve("best at 50", tabled(best_at_50, 128), 25 * MS),
    Curve("stragglers", tabled(line(4, 0.1), 64), 100 * MS, stragglers=0.01),
    Curve("drift", tabled(line(4, 0.1), 64), 50 * MS, drift_ns=10 * SECOND),
    Curve("four shared lanes", tabled(line(4, 0.1), 64), 25 * MS, lanes=4, shared=True),
    Curve("exact", tabled(line(4, 0.1), 64), 25 * MS, sigma=0.0),
)
