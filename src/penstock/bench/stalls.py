"""Stretches in which requests waited and nothing at all was answered."""

import msgspec
import numpy as np

_LEAST_MS = 50.0
_TIMES_USUAL = 5.0
_REGULAR = 0.2
_FEW = 3

Counts = np.ndarray[tuple[int], np.dtype[np.uint32]]
"""How many there were in each millisecond since the start."""


class Stalls(msgspec.Struct, frozen=True):
    """The stalls of a run."""

    count: int = 0
    longest_ms: float = 0.0
    every_s: float | None = None
    """The distance from one to the next, if they come in step."""

    def __str__(self) -> str:
        """Return them in words."""
        times = "once" if self.count == 1 else f"{self.count} times"
        step = f", every {self.every_s:.1f} s" if self.every_s else ""
        return f"the server answered nothing for up to {self.longest_ms:.0f} ms, {times}{step}"


def find_stalls(due: Counts, answered: Counts, usual_ms: float) -> Stalls:
    """Return the stalls among requests due and answered.

    `usual_ms` is the median latency: a request that is alone under way leaves a gap of its own latency, which is no stall.
    """
    limit_ms = max(_LEAST_MS, _TIMES_USUAL * usual_ms)
    waiting = np.cumsum(due, dtype=np.int64) - np.cumsum(answered, dtype=np.int64)
    starts, lengths_ms = _stretches((answered == 0) & (waiting > 0))
    found = lengths_ms >= limit_ms
    if not found.any():
        return Stalls()
    return Stalls(int(found.sum()), float(lengths_ms[found].max()), _step_s(starts[found]))


def _stretches(holds: np.ndarray[tuple[int], np.dtype[np.bool]]) -> tuple[np.ndarray, np.ndarray]:
    """Return where stretches of true begin, and how long they are."""
    edges = np.diff(np.concatenate(([0], holds.astype(np.int8), [0])))
    starts = np.flatnonzero(edges == 1)
    return starts, np.flatnonzero(edges == -1) - starts


def _step_s(starts_ms: np.ndarray) -> float | None:
    steps = np.diff(starts_ms) / 1000
    if len(starts_ms) < _FEW or np.std(steps) > _REGULAR * np.mean(steps):
        return None
    return float(np.mean(steps))
