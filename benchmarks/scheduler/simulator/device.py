"""The lanes that run batches, and how long each run takes."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from simulator.curves import Curve
from simulator.row import Row

_CHUNK: Final = 1024
_STRAGGLES: Final = 5.0


class Device:
    """Lanes with compute of their own, or one device that runs the batches of its lanes one after another."""

    def __init__(self, curve: Curve, noise: np.random.Generator) -> None:
        self.curve: Final = curve
        self.idle = curve.lanes
        self._shared: Final = curve.shared
        self._free_ns = 0
        self._factors: Final = factors(curve, noise)

    def start(self, batch: Sequence[Row], now_ns: int) -> tuple[int, int]:
        """Take a lane; returns when the batch is done and how long the device works on it."""
        rows = longest = 0
        for row in batch:
            rows += row.rows
            longest = max(longest, row.length)
        taken = max(1, round(self.curve.time_ns(rows, longest, now_ns) * next(self._factors)))
        self.idle -= 1
        begins = now_ns
        if self._shared:
            begins = max(now_ns, self._free_ns)
            self._free_ns = begins + taken
        return begins + taken, taken

    def finish(self) -> None:
        """Free a lane."""
        self.idle += 1


def factors(curve: Curve, noise: np.random.Generator) -> Iterator[float]:
    """Yield what each run's time is multiplied with: a lognormal of mean 1 and, for a few, stragglers."""
    while True:
        drawn = np.ones(_CHUNK)
        if curve.sigma:
            drawn = noise.lognormal(-(curve.sigma**2) / 2, curve.sigma, _CHUNK)
        if curve.stragglers:
            drawn[noise.random(_CHUNK) < curve.stragglers] *= _STRAGGLES
        yield from drawn.tolist()
