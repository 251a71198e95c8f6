"""What a run is judged by."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator.row import ANSWERED, CANCELLED, DROPPED, FAILED, MS, REFUSED, SECOND, Row
from simulator.simulation import Batch, Simulation

_SKIPPED: Final = 0.2
"""The share of the trace before anything is counted: empty queues and untrained estimators."""
_LOST: Final = np.inf


class Figures(NamedTuple):
    """One run. Latencies are of all that was asked for and not cancelled; what got no answer counts as infinitely late."""

    p50_ms: float
    p99_ms: float
    goodput: float
    """Rows per second answered within the objective."""
    share: float
    """The same as a share of what was asked for."""
    refused: float
    """Shares of what was asked for."""
    dropped: float
    late: float
    failed: float
    wasted: float
    """The share of device time spent on rows that were late, failed or gone."""
    batch_rows: float


def figures(simulation: Simulation) -> Figures:
    """Return the figures of a run that has ended, without the first fifth of the trace."""
    rows = [row for row in counted(simulation.rows) if row.state != CANCELLED]
    sizes = np.array([row.rows for row in rows], float)
    states = np.array([row.state for row in rows])
    latencies = latencies_ms(rows)
    late = (states == ANSWERED) & (np.array([row.finish_ns > row.due_ns for row in rows]))
    good = (states == ANSWERED) & ~late
    seconds = (rows[-1].arrival_ns - rows[0].arrival_ns) / SECOND if len(rows) > 1 else 1.0
    total = float(sizes.sum())
    refused, dropped, slow, failed = (
        float(sizes[chosen].sum() / total) for chosen in (states == REFUSED, states == DROPPED, late, states == FAILED)
    )
    p50, p99 = np.percentile(latencies, (50, 99), method="higher").tolist()
    wasted, batch_rows = _of_batches(simulation.batches)
    answered = float(sizes[good].sum())
    return Figures(p50, p99, answered / seconds, answered / total, refused, dropped, slow, failed, wasted, batch_rows)


def counted(rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows that count: those after the first fifth."""
    return rows[int(len(rows) * _SKIPPED) :]


def latencies_ms(rows: Sequence[Row]) -> npt.NDArray[np.float64]:
    """Return the latencies in milliseconds, infinite where there was no answer."""
    return np.array([(row.finish_ns - row.arrival_ns) / MS if row.state == ANSWERED else _LOST for row in rows])


def jain(values: Sequence[float]) -> float:
    """Return Jain's index of fairness: 1 if all are equal, 1/n if one has all."""
    square = sum(values) ** 2
    return square / (len(values) * sum(value * value for value in values)) if square else 1.0


def recovery_ms(rows: Sequence[Row], calm_ns: int, target_ns: int) -> float:
    """Return how long after the overload the last row was run that had waited longer than the target."""
    waited = [row.start_ns for row in rows if row.start_ns >= calm_ns and row.start_ns - row.arrival_ns > target_ns]
    return (max(waited) - calm_ns) / MS if waited else 0.0


def _of_batches(batches: Sequence[Batch]) -> tuple[float, float]:
    if not batches:
        return 0.0, 0.0
    _, taken, rows, good = (np.array(column, float) for column in zip(*batches[int(len(batches) * _SKIPPED) :], strict=True))
    return float((taken * (1 - good / rows)).sum() / taken.sum()), float(rows.mean())
