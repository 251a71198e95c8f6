"""Two oracles: the best policy for the mean latency of a single queue, and a bound that no policy can pass.

`ControlLimit` is the optimum of the semi-Markov decision process (arXiv 2301.12865): it knows the true rate and profile, assumes
Poisson arrivals, and has the form "go when n rows wait". With several lanes it is told its lane's share of the rate, which is no
longer optimal. `bound` knows all arrivals.
"""

import heapq
from functools import lru_cache
from math import lgamma
from typing import Final

import numpy as np
import numpy.typing as npt

from simulator.curves import Curve
from simulator.policy import Queue, Setup
from simulator.row import NEVER, SECOND
from simulator.trace import Trace

_Values = npt.NDArray[np.float64]
_Action = tuple[_Values, _Values, _Values]
"""By state: its duration in seconds, its cost, and where it leads."""

_STATES: Final = 3
_ENOUGH: Final = 1e-12
_MOST_ROUNDS: Final = 100


class ControlLimit(Queue):
    """Runs everything as soon as the optimal number of rows waits."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        per_lane = setup.rate / (1 if setup.curve.shared else setup.curve.lanes)
        self.limit: Final = control_limit(setup.curve.table, self.max_rows, round(per_lane, 3))

    def ready(self, now_ns: int) -> int:
        """Return everything once the limit is reached, or once the earliest deadline leaves no more time to wait."""
        if self.waiting >= self.limit or now_ns >= self._latest():
            return min(self.waiting, self.max_rows)
        return 0

    def next_wakeup(self, now_ns: int) -> int | None:  # noqa: ARG002 - due at a fixed instant
        """Wake before the head would be late: without it the last rows of a trace would wait for ever."""
        return self._latest() if self.free and self.waiting else None

    def _latest(self) -> int:
        head = self.head()
        return NEVER if head is None else head.deadline_ns - self.setup.curve.table[min(self.waiting, self.max_rows)]


@lru_cache(maxsize=256)
def control_limit(table: tuple[int, ...], most: int, rate: float) -> int:
    """Return how many rows should wait before a run, by policy iteration over the queue's length up to three batches.

    The cost is the number of rows in the system over time, which by Little's law is the mean latency. There are two actions:
    waiting for one arrival, and running min(n, most) rows.
    """
    states = _STATES * most + 1
    waiting = np.arange(states, dtype=float)
    run_s = np.array([table[min(n, most)] / SECOND for n in range(states)])
    after, joined = _transitions(run_s, most, rate), np.eye(states, k=1)
    go = (run_s, waiting * run_s + rate * run_s**2 / 2, after)
    wait = (np.full(states, 1 / rate), waiting / rate, joined)
    goes = waiting > 0
    for _ in range(_MOST_ROUNDS):
        mean, values = _evaluated(goes, go, wait)
        gain = [cost - mean * duration + moves @ values for duration, cost, moves in (go, wait)]
        better = (gain[0] <= gain[1] + _ENOUGH) & (waiting > 0)
        better[-1] = True
        if (better == goes).all():
            break
        goes = better
    return max(1, int(np.argmax(goes)))


def _evaluated(goes: npt.NDArray[np.bool_], go: _Action, wait: _Action) -> tuple[float, _Values]:
    """Return the mean cost per second of a policy, and each state's relative value: a system of linear equations."""
    duration, cost = (np.where(goes, go[part], wait[part]) for part in (0, 1))
    moves = np.where(goes[:, None], go[2], wait[2])
    system = np.eye(len(goes)) - moves
    system[:, 0] = duration  # the value of the first state is 0, which leaves room for the mean
    solved: _Values = np.linalg.solve(system, cost).astype(np.float64)
    mean = float(solved[0])
    solved[0] = 0.0
    return mean, solved


def bound(trace: Trace, curve: Curve) -> tuple[float, npt.NDArray[np.bool_]]:
    """Return the share of rows that any policy could answer in time, at most, and which requests those are.

    A relaxation: lanes are one server, a row costs what it costs in the cheapest batch that fits into the objective, batches
    need not be formed, and the earliest deadline goes first; a row is given up as soon as it cannot be answered. With rows of
    equal cost no schedule answers more, up to one row. It knows no noise, whose mean is 1.
    """
    cost = _cheapest(curve, int(trace.budgets_ns.max()))
    arrivals, deadlines, rows = trace.arrivals_ns.tolist(), (trace.arrivals_ns + trace.budgets_ns).tolist(), trace.rows.tolist()
    good = np.zeros(len(rows), bool)
    waiting: list[tuple[int, int]] = []
    free = 0.0
    for number, arrival in enumerate([*arrivals, NEVER]):
        while waiting and free < arrival:
            deadline, first = heapq.heappop(waiting)
            done = max(free, arrivals[first]) + cost * rows[first]
            if done <= deadline:
                free, good[first] = done, True
        if arrival != NEVER:
            heapq.heappush(waiting, (deadlines[number], number))
    return float(trace.rows[good].sum() / trace.rows.sum()), good


def _cheapest(curve: Curve, budget_ns: int) -> float:
    sizes = [size for size in range(1, curve.max_rows + 1) if curve.table[size] <= budget_ns] or [1]
    lanes = 1 if curve.shared else curve.lanes
    return min(curve.table[size] / size for size in sizes) / lanes


def _transitions(run_s: _Values, most: int, rate: float) -> _Values:
    states = len(run_s)
    matrix = np.zeros((states, states))
    factorials = np.array([lgamma(k + 1) for k in range(states)])
    for n in range(1, states):
        left = n - min(n, most)
        k = np.arange(states - left)
        arriving = np.exp(k * np.log(rate * run_s[n]) - rate * run_s[n] - factorials[: len(k)])
        matrix[n, left:] = arriving
        matrix[n, -1] += max(0.0, 1 - arriving.sum())
    return matrix
