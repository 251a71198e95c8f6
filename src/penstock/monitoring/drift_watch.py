"""Windows of live rows, one after the other, and when a feature begins to drift and stops."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.domain.clock import NS_PER_S, Clock, monotonic
from penstock.monitoring.drift import DriftJudge, FeatureDrift
from penstock.monitoring.options import Limits
from penstock.monitoring.reference import Reference
from penstock.monitoring.sketch import DriftSketch


class Crossing(NamedTuple):
    """A feature that crossed a threshold in a window in which it had not before, or that has come back below all of them."""

    feature: str
    before: tuple[str, ...]
    """Measures above their thresholds; () for none."""
    after: tuple[str, ...]
    rows: int
    """Of the window that shows it."""
    shown: FeatureDrift
    """What that window has shown of the feature."""


class DriftWatch:
    """Judges each window once, when it is full or its time is over. For one thread.

    A window that ends by time with fewer than `least_rows` goes on: so few tell nothing.
    """

    def __init__(
        self,
        reference: Reference,
        limits: Limits | None = None,
        *,
        window_rows: int = 1000,
        window_s: float = 3600,
        least_rows: int = 200,
        clock: Clock = monotonic,
    ) -> None:
        self.features: Final = len(reference.features)
        """How many are watched."""
        self._sketch: Final = DriftSketch(reference)
        self._judge: Final = DriftJudge(reference, limits)
        self._window_rows: Final = window_rows
        self._window_ns: Final = int(window_s * NS_PER_S)
        self._least_rows: Final = min(least_rows, window_rows)
        self._clock: Final = clock
        self._began_ns = clock()
        self.rows = 0
        """Rows counted, of all windows."""
        self.windows = 0
        """Windows judged."""
        self.latest: list[FeatureDrift] = []
        """Every feature in the last window that was judged."""
        self.drifting: dict[str, tuple[str, ...]] = {}
        """By feature that drifts: the measures above their thresholds."""

    @property
    def window_rows(self) -> int:
        """Rows of the window that has not ended."""
        return self._sketch.rows

    def add(self, rows: NDArray[np.floating]) -> list[Crossing]:
        """Count rows of shape (rows, features); returns what the windows that they filled have shown."""
        crossings: list[Crossing] = []
        self.rows += len(rows)
        while len(rows):
            head, rows = np.split(rows, [self._window_rows - self._sketch.rows])
            self._sketch.add(head)
            crossings += self.tick()
        return crossings

    def tick(self) -> list[Crossing]:
        """Judge the window if it is full or its time is over; returns what it has shown."""
        over = self._clock() - self._began_ns >= self._window_ns
        if self._sketch.rows >= self._window_rows or (over and self._sketch.rows >= self._least_rows):
            return self._close()
        return []

    def _close(self) -> list[Crossing]:
        tally = self._sketch.tally()
        self._sketch.clear()
        self._began_ns = self._clock()
        self.latest = self._judge.judge(tally)
        before, self.drifting = self.drifting, {feature.name: feature.crossed for feature in self.latest if feature.crossed}
        changed = [each for each in self.latest if (each.name in before) != bool(each.crossed)]
        self.windows += 1  # last: whoever reads beside finds at least so many judged
        return [Crossing(each.name, before.get(each.name, ()), each.crossed, tally.rows, each) for each in changed]
