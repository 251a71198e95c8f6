"""How far a window of live rows lies from the reference, and how far chance alone would have taken it.

Every measure has a threshold of its own for the numbers of rows at hand: the larger of what matters (`Limits`) and of the quantile
that the measure exceeds, where nothing has changed, with the probability alpha. Alpha is shared out among all measures of all features
(Bonferroni), so that it is the probability of a false alarm for a whole window.
"""

import math
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.monitoring.options import Limits
from penstock.monitoring.reference import BINS, Reference
from penstock.monitoring.sketch import Counts, Tally

MEASURES: Final = ("psi", "js", "ks", "missing", "out_of_range")
_SMOOTHING: Final = 0.5
_LN2: Final = math.log(2)
_Figures = NDArray[np.float64]


class FeatureDrift(NamedTuple):
    """One feature in one window: figures and thresholds by measure."""

    name: str
    figures: dict[str, float]
    thresholds: dict[str, float]

    @property
    def crossed(self) -> tuple[str, ...]:
        """The measures above their thresholds."""
        return tuple(measure for measure in MEASURES if self.figures[measure] > self.thresholds[measure])


class _Marked(NamedTuple):
    """How many rows of how many are missing, or out of range, by feature."""

    marks: Counts
    rows: Counts


class DriftJudge:
    """Compares tallies with one reference. Pure."""

    def __init__(self, reference: Reference, limits: Limits | None = None) -> None:
        features = reference.features
        self._limits: Final = limits or Limits()
        self._names: Final = [feature.name for feature in features]
        self._rows: Final = np.array([feature.rows for feature in features])
        self._missing: Final = np.array([feature.missing for feature in features])
        self._above: Final = np.zeros((BINS - 1, len(features)), np.int64)
        for column, feature in enumerate(features):
            self._above[: len(feature.above), column] = feature.above
        self._level: Final = self._limits.alpha / (len(MEASURES) * len(features))

    def judge(self, tally: Tally) -> list[FeatureDrift]:
        """Return the figures of every feature; a feature without a value in the window has 0 in all but `missing`."""
        live_rows = tally.rows - tally.missing
        seen = np.maximum(live_rows, 1)
        mine, live = _bins(self._above, self._rows), _bins(tally.above, live_rows)
        outside = tally.below_low + tally.above_high
        figures = {
            "psi": _psi(mine, live),
            "js": _js(mine, live),
            "ks": np.abs(self._above / self._rows - tally.above / seen).max(axis=0),
            "missing": np.abs(tally.missing / max(tally.rows, 1) - self._missing / (self._rows + self._missing)),
            "out_of_range": outside / seen,
        }
        thresholds = self._thresholds(tally, live_rows, (mine + live > 0).sum(axis=0) - 1, outside)
        for measure in ("psi", "js", "ks", "out_of_range"):
            figures[measure] = np.where(live_rows > 0, figures[measure], 0.0)
        return [FeatureDrift(*told) for told in zip(self._names, _by_feature(figures), _by_feature(thresholds), strict=True)]

    def _thresholds(self, tally: Tally, live_rows: Counts, freedom: Counts, outside: Counts) -> dict[str, _Figures]:
        limits, level = self._limits, self._level
        noise = 1 / self._rows + 1 / np.maximum(live_rows, 1)
        chance = noise * _chi_square_quantile(freedom, level)
        all_rows = self._rows + self._missing
        return {
            "psi": np.maximum(limits.psi, chance),
            "js": np.maximum(limits.js, np.sqrt(chance / (8 * _LN2))),
            "ks": np.maximum(limits.ks, math.sqrt(math.log(2 / level) / 2) * np.sqrt(noise)),
            "missing": _share_threshold(
                limits.missing, level, _Marked(tally.missing, np.full_like(live_rows, tally.rows)), _Marked(self._missing, all_rows)
            ),
            "out_of_range": _share_threshold(
                limits.out_of_range, level, _Marked(outside, live_rows), _Marked(np.zeros_like(outside), self._rows)
            ),
        }


def _by_feature(figures: dict[str, _Figures]) -> list[dict[str, float]]:
    return [dict(zip(MEASURES, column, strict=True)) for column in zip(*(figures[measure].tolist() for measure in MEASURES), strict=True)]


def _bins(above: Counts, rows: Counts) -> _Figures:
    """Return the rows between the edges, shape (bins, features)."""
    return np.concatenate([rows[None] - above[:1], above[:-1] - above[1:], above[-1:]]).astype(np.float64)


def _psi(mine: _Figures, live: _Figures) -> _Figures:
    """Return the index of each feature; bins that hold nothing on either side do not count.

    Where nothing has changed it is distributed as (1/n + 1/m) chi-square with one degree less than bins: B. Yurdakul, "Statistical
    Properties of Population Stability Index" (2018).
    """
    used = mine + live > 0
    p, q = (_shares(np.where(used, counts + _SMOOTHING, 0.0)) for counts in (mine, live))
    logs = np.log(np.where(used, q, 1.0) / np.where(used, p, 1.0))
    index: _Figures = ((q - p) * logs).sum(axis=0)
    return index


def _js(mine: _Figures, live: _Figures) -> _Figures:
    """Return the Jensen-Shannon distance of each feature (J. Lin, 1991; D. Endres and J. Schindelin, 2003).

    For close distributions the divergence in nats is an eighth of their chi-square distance, which gives its null.
    """
    p, q = _shares(mine), _shares(live)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    distance: _Figures = np.sqrt(np.maximum(divergence, 0) / _LN2)
    return distance


def _relative_entropy(p: _Figures, middle: _Figures) -> _Figures:
    ratio = np.divide(p, middle, out=np.ones_like(p), where=p > 0)
    entropy: _Figures = (p * np.log(ratio)).sum(axis=0)
    return entropy


def _shares(counts: _Figures) -> _Figures:
    shares: _Figures = counts / np.maximum(counts.sum(axis=0), 1)
    return shares


def _chi_square_quantile(freedom: Counts, level: float) -> _Figures:
    """Return what chi-square exceeds with the probability `level` (E. Wilson and M. Hilferty, 1931); infinite for no degree of freedom."""
    degrees = np.maximum(freedom, 1)
    spread = 2 / (9 * degrees)
    quantile = degrees * (1 - spread - NormalDist().inv_cdf(level) * np.sqrt(spread)) ** 3
    return np.where(freedom > 0, quantile, np.inf)


def _share_threshold(limit: float, level: float, live: _Marked, mine: _Marked) -> _Figures:
    """Return the limit where the shares of marked rows differ by more than chance, and infinity where they do not.

    Of all marks, each falls on the live side with the probability n / (n + m). The tail is bounded by Chernoff's bound, which holds for
    samples without replacement too (W. Hoeffding, 1963), and for few marks, where normal approximations do not.
    """
    marks, share = live.marks + mine.marks, live.rows / np.maximum(live.rows + mine.rows, 1)
    part = live.marks / np.maximum(marks, 1)
    bound = _LN2 - marks * (_times_log(part, share) + _times_log(1 - part, 1 - share))
    threshold: _Figures = np.where((marks > 0) & (bound < math.log(level)), limit, np.inf)
    return threshold


def _times_log(part: _Figures, share: _Figures) -> _Figures:
    ratio = np.divide(part, share, out=np.ones_like(part), where=(part > 0) & (share > 0))
    product: _Figures = part * np.log(ratio)
    return product
