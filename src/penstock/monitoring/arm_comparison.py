"""How far the outputs of a canary lie from those of the stable version, of the same time: no history, and no reference."""

from typing import Final

import numpy as np

from penstock.monitoring.columns import Numbers
from penstock.monitoring.drift import DriftJudge
from penstock.monitoring.options import Limits
from penstock.monitoring.sample import reference_of_sample
from penstock.monitoring.sketch import DriftSketch

LEAST_ROWS: Final = 500
"""Rows that each arm must have answered; fewer tell too little."""
_MOST_ROWS: Final = 4000
_MEASURES: Final = ("psi", "missing", "out_of_range")
_LIMITS: Final = Limits(psi=1e-9, missing=1e-9, out_of_range=1e-9, alpha=1e-6)
"""So that a threshold is what chance reaches; what matters is the gate's to say."""


class ArmComparison:
    """Gathers the outputs of both arms until somebody asks. For one thread, but for `ask`."""

    def __init__(self, names: list[str], seed: int = 0) -> None:
        """`names` are the features that both versions have; at least one."""
        self.names: Final = names
        self._source: Final = np.random.default_rng(seed)
        self._asked = False
        self._found: float | None = None
        self._begin()

    def ask(self) -> float | None:
        """Return how far apart the arms were in the window that has ended since somebody asked last, None if none has.

        The window that is under way ends as soon as both arms have rows enough.
        """
        found, self._found = self._found, None
        self._asked = True
        return found

    def add(self, arm: int, rows: Numbers) -> None:
        """Take rows of an arm, 0 for the stable one and 1 for the canary."""
        self._arms[arm].add(rows)
        if self._asked and min(reservoir.seen for reservoir in self._arms) >= LEAST_ROWS:
            self._asked = False
            stable, canary = (reservoir.rows for reservoir in self._arms)
            self._found = distance(self.names, stable, canary)
            self._begin()

    def _begin(self) -> None:
        self._arms = [_Reservoir(len(self.names), self._source) for _ in range(2)]


def distance(names: list[str], stable: Numbers, canary: Numbers) -> float:
    """Return the largest difference that chance does not explain, of any feature: 0 for none.

    A difference is a population stability index, of the canary's rows against the stable arm's, or the difference of the shares of missing
    values, or the share of values beyond the least and the greatest of the stable arm's; whichever is largest.
    """
    reference, mute = reference_of_sample({name: stable[:, place] for place, name in enumerate(names)})
    come = [float(np.mean(~np.isnan(canary[:, names.index(name)]))) for name in mute]  # values where the stable arm has none
    if reference is None:
        return max(come)
    sketch = DriftSketch(reference)
    sketch.add(np.ascontiguousarray(canary[:, [names.index(feature.name) for feature in reference.features]]))
    judged = DriftJudge(reference, _LIMITS).judge(sketch.tally())
    told = [(feature.figures[measure], feature.thresholds[measure]) for feature in judged for measure in _MEASURES]
    return max([*come, *(figure for figure, threshold in told if figure > threshold), 0.0])


class _Reservoir:
    """A draw of rows in which each row that was seen is as likely as any other (J. Vitter, "Random Sampling with a Reservoir", 1985)."""

    def __init__(self, width: int, source: np.random.Generator) -> None:
        self.seen = 0
        self._kept = np.empty((_MOST_ROWS, width))
        self._source = source

    @property
    def rows(self) -> Numbers:
        return self._kept[: self.seen]

    def add(self, rows: Numbers) -> None:
        numbers = np.arange(self.seen, self.seen + len(rows))
        self.seen += len(rows)
        drawn = self._source.integers(0, numbers + 1)
        places = np.where(numbers < _MOST_ROWS, numbers, drawn)
        kept = places < _MOST_ROWS
        self._kept[places[kept]] = rows[kept]
