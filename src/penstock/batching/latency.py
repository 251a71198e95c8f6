"""What a run of so many rows takes: measured sizes, a robust line between and beyond them, and how far runs stray from both.

The method is that of the literature on serving under deadlines: a table by size, since real curves have steps and optima, and a line
`alpha + beta * rows` where nothing was measured. Clockwork (OSDI 2020) showed that such predictions hold when runs are serialised.
"""

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from penstock.batching.line_fit import Line, Point, fit_line, never_falling
from penstock.domain.clock import NS_PER_S

_SAMPLES: Final = 32
"""Remembered runs of each size: enough for a median, and sizes that the present load does not use keep theirs."""
_PROVEN: Final = 4
"""Recent runs of a size from which they count alone; until then its first figure does, at the present speed, with the weight of so many."""
_REFIT: Final = 8
_SELDOM: Final = 64
_PART: Final = 8
"""New runs after which the curve is drawn again: first eight, then an eighth of all, in the end 64."""
_FORGET_S: Final = 60.0
_COLD_SPREAD: Final = 1.5
_MOST_SPREAD: Final = 5.0
_MOST_CAUTION: Final = 1.5
_QUANTILE: Final = 0.95
_STEP: Final = 0.03
_RECENT_RUNS: Final = 256
"""Runs of any size after which a size that was not among them follows the others."""
_DRIFT: Final = 0.3
_ERROR_RUNS: Final = 20
_NEW_RUNS: Final = 8
"""Runs that show the new speed by the time at which a change is noticed."""
_ENOUGH: Final = 0.97
"""Share of the highest throughput at which larger batches only add latency."""


class _Size:
    """Runs of about one size."""

    __slots__ = ("first", "runs", "seen_ns")

    def __init__(self, rows: int, ns: float) -> None:
        self.first = Point(rows, ns, _PROVEN)
        """What it took at first, at the speed that all sizes' first figures have in common: the shape of the curve."""
        self.runs: deque[tuple[int, int, int]] = deque(maxlen=_SAMPLES)
        """Rows, nanoseconds and number of each."""
        self.seen_ns = 0

    def point(self, now_ns: int, since: int, level: float) -> Point:
        """Return the median run, weighted by how many there are and how old they are; the shape's figure if none is recent."""
        if len(self.runs) < _PROVEN or self.runs[-1][2] < since:
            return self.first._replace(ns=self.first.ns * level)
        weight = len(self.runs) * math.exp((self.seen_ns - now_ns) / NS_PER_S / _FORGET_S)
        rows = sum([rows for rows, _, _ in self.runs]) / len(self.runs)
        return Point(rows, sorted([ns for _, ns, _ in self.runs])[len(self.runs) // 2], max(weight, 1e-3))

    def forget(self, since: int) -> None:
        """Forget the runs before the one with that number."""
        while self.runs and self.runs[0][2] < since:
            self.runs.popleft()


class LatencyModel:
    """Learns from runs. Pure: no clock, no I/O; nanoseconds in, nanoseconds out."""

    def __init__(self, prior_ns: Mapping[int, int] | None = None) -> None:
        """`prior_ns` is what warm-up runs took, by rows."""
        self.runs = 0
        """Runs that have been observed."""
        self.edition = 0
        """Grows when predictions change."""
        self.spread = _COLD_SPREAD
        """The 95 % quantile of actual over expected."""
        self.error = 0.0
        """Mean of |actual - expected| / expected, over about the last 20 runs."""
        self.drifts = 0
        """How often the device has changed its speed."""
        self._sizes = {grid_size(rows): _Size(rows, ns) for rows, ns in (prior_ns or {}).items()}
        self._levels: deque[float] = deque([1.0] * _PROVEN if self._sizes else (), _SAMPLES)
        """How much longer the latest runs took than their sizes did at first; warm-up counts, so that one stall changes nothing."""
        self._unseen: set[int] = set()
        self._fresh = self._changed = 0
        self._patience = _REFIT
        self._curve: list[Point] = []
        self._curve_rows: list[float] = []
        self._line = Line(0.0, 1.0)
        self._expected: dict[int, int] = {}
        if self._sizes:
            self._draw(0)

    def __repr__(self) -> str:
        return f"<LatencyModel {self._line.alpha_ns / 1e6:.3f} + {self._line.beta_ns / 1e6:.3f} ms per row, {self.runs} runs>"

    @property
    def known(self) -> bool:
        """Whether anything has been measured; nothing is expected otherwise."""
        return bool(self._curve)

    @property
    def cold(self) -> bool:
        """Whether too little has been seen under load to refuse anybody by it."""
        return self.runs < _PROVEN

    @property
    def line(self) -> Line:
        """The robust line through the table."""
        return self._line

    @property
    def batchability(self) -> float:
        """Alpha / (alpha + beta): the share of a one-row run that a second row does not cost again."""
        return self._line.alpha_ns / (self._line.alpha_ns + self._line.beta_ns)

    def observe(self, rows: int, ns: int, now_ns: int) -> None:
        """Learn from a run that took so long; what a run of no rows takes is no use to anybody."""
        if not rows:
            return
        ns = max(1, ns)
        size = self._sizes.get(grid_size(rows)) or self._new_size(rows, ns)
        if size is None:
            return
        if self._curve:
            self._learn_error(ns / max(1, self.expect(rows)))
        self.runs += 1
        size.runs.append((rows, ns, self.runs))
        size.seen_ns = now_ns
        self._levels.append(ns / size.first.ns)
        self._fresh += 1
        if self._fresh >= self._patience or len(size.runs) <= _PROVEN:
            self._draw(now_ns)

    def _new_size(self, rows: int, ns: int) -> _Size | None:
        """Return a size that was never seen; None for its very first run, which allocates and chooses algorithms."""
        if self._curve and rows not in self._unseen:
            self._unseen.add(rows)
            return None
        self._unseen.discard(rows)
        size = self._sizes[grid_size(rows)] = _Size(rows, max(1.0, ns / self._level))
        return size

    @property
    def _level(self) -> float:
        """How much longer runs take at present than at first: the median of the latest ones, whatever their size."""
        return sorted(self._levels)[len(self._levels) // 2] if self._levels else 1.0

    def expect(self, rows: int) -> int:
        """Return the expected time of a run, in nanoseconds; 0 while nothing is known."""
        known = self._expected.get(rows)
        if known is None:
            known = self._expected[rows] = int(self._read(rows))
        return known

    def bound(self, rows: int) -> int:
        """Return what 19 of 20 runs stay below, in nanoseconds; on a noisy machine fewer, or everything would look too late."""
        return int(self.expect(rows) * min(self.spread, _MOST_CAUTION))

    def best_rows(self, most: int) -> int:
        """Return the smallest batch that comes close to the highest throughput: the knee of the curve, up to `most`.

        1 where batching does not pay, `most` while nothing is known.
        """
        if not self._curve or most <= 1:
            return most
        rates = {rows: rows / max(1, self.expect(rows)) for rows in self._candidates(most)}
        enough = _ENOUGH * max(rates.values())
        return min(rows for rows, rate in rates.items() if rate >= enough)

    def rows_within(self, budget_ns: float, most: int) -> int:
        """Return the largest batch that is expected to keep the budget, up to `most`; 0 if there is none."""
        return bisect_right(range(1, most + 1), budget_ns, key=self.expect)

    def table(self) -> Iterator[tuple[int, int, int]]:
        """Yield each measured size: rows, median nanoseconds, runs remembered."""
        for _, size in sorted(self._sizes.items()):
            point = size.point(size.seen_ns, self.runs - _RECENT_RUNS, self._level)
            yield round(point.rows), int(point.ns), len(size.runs)

    def _candidates(self, most: int) -> list[int]:
        return sorted({1, most, *(round(point.rows) for point in self._curve if point.rows <= most)})

    def _learn_error(self, ratio: float) -> None:
        self.spread += _STEP * (_QUANTILE if ratio > self.spread else _QUANTILE - 1)
        self.spread = min(_MOST_SPREAD, max(1.0, self.spread))
        self.error += (min(abs(ratio - 1), 1.0) - self.error) / _ERROR_RUNS
        if self.error > _DRIFT and self.runs - self._changed >= _ERROR_RUNS:
            self._check_drift()

    def _check_drift(self) -> None:
        """Forget the old speed if the latest runs have one in common: other models, thermal limits and neighbours change it."""
        self.error, self._changed = 0.0, self.runs
        before, now = self._level, sorted(list(self._levels)[-_NEW_RUNS:])[_NEW_RUNS // 2]
        if abs(now / before - 1) < _DRIFT:
            return  # runs that stray to both sides are a matter of the spread
        self.drifts += 1
        self._levels = deque(list(self._levels)[-_NEW_RUNS:], _SAMPLES)
        for size in self._sizes.values():
            size.forget(self.runs - _NEW_RUNS + 1)
        self._fresh = _SELDOM

    def _draw(self, now_ns: int) -> None:
        since, level = self.runs - _RECENT_RUNS, self._level
        points = [size.point(now_ns, since, level) for size in self._sizes.values()]
        self._line = fit_line(points)
        self._curve = never_falling(points)
        self._curve_rows = [point.rows for point in self._curve]
        self._expected.clear()
        self._fresh = 0
        self._patience = max(_REFIT, min(_SELDOM, self.runs // _PART))
        self.edition += 1

    def _read(self, rows: int) -> float:
        """Read the curve: straight between its points, by the line's alpha and beta before the first and beyond the last."""
        if not self._curve:
            return 0.0
        after = bisect_left(self._curve_rows, rows)
        if after == len(self._curve):
            last = self._curve[-1]
            return last.ns + self._line.beta_ns * (rows - last.rows)
        right = self._curve[after]
        left = self._curve[after - 1] if after else Point(0.0, min(self._line.alpha_ns, right.ns), 0.0)
        return left.ns + (right.ns - left.ns) * (rows - left.rows) / (right.rows - left.rows)


def grid_size(rows: int) -> int:
    """Return the size that stands for a number of rows: 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on, the next one up."""
    if rows <= 4:  # noqa: PLR2004 - each of these is a size of its own
        return max(rows, 1)
    power = 1 << (rows - 1).bit_length()
    return power * 3 // 4 if rows <= power * 3 // 4 else power
