"""Latencies counted in the buckets of an HdrHistogram: 1 us to 60 s at three digits."""

import io
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from hdrh.histogram import HdrHistogram

_LONGEST_US: Final = 60_000_000
_DIGITS: Final = 3
_SUB_BUCKET_BITS: Final = 11  # 2,048 steps hold three digits
_US_PER_MS: Final = 1000
_POINTS_PER_NINE: Final = 20


def bucket_us(latency_us: int) -> int:
    """Return the lower edge of the bucket that a latency falls into; what is out of range is moved to its end.

    Counting these edges in a dict costs a fraction of a microsecond; `HdrHistogram.record_value`, which is Python too, costs
    so many that requests would be late for it. `histogram` makes the same histogram of them.
    """
    within = min(max(1, latency_us), _LONGEST_US)
    shift = _shift(within)
    return within >> shift << shift


def _shift(latency_us: int) -> int:
    return max(0, latency_us.bit_length() - _SUB_BUCKET_BITS)


class Latencies:
    """What latencies amount to that were counted by `bucket_us`."""

    def __init__(self, counts: Mapping[int, int]) -> None:
        self._counts = dict(sorted(counts.items()))
        self._edges = list(self._counts)
        self._upto = np.cumsum([*self._counts.values()], dtype=np.int64)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._upto[-1]) if self._edges else 0

    @property
    def min_ms(self) -> float:
        """The shortest; 0 without any."""
        return self._edges[0] / _US_PER_MS if self._edges else 0.0

    @property
    def max_ms(self) -> float:
        """The longest; 0 without any."""
        return self.percentile_ms(100)

    @property
    def mean_ms(self) -> float:
        """The mean; 0 without any."""
        total_us = sum((edge + ((1 << _shift(edge)) >> 1)) * count for edge, count in self._counts.items())
        return total_us / self.count / _US_PER_MS if self._edges else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Return the latency that `percent` of all do not exceed, the upper edge of its bucket; 0 without any."""
        if not self._edges:
            return 0.0
        # One half is added as HdrHistogram does, so that 99.9 % of 1,000 is 999 whatever floats make of it.
        rank = max(1, int(percent / 100 * self.count + 0.5))
        edge = self._edges[int(np.searchsorted(self._upto, rank))]
        return (edge + (1 << _shift(edge)) - 1) / _US_PER_MS

    def curve(self) -> Iterator[tuple[float, float]]:
        """Yield points of the curve of latency in ms over percent, closer together towards 100 %."""
        step = 0
        while (beyond := 10 ** (-step / _POINTS_PER_NINE)) * self.count >= 1:
            yield 100 * (1 - beyond), self.percentile_ms(100 * (1 - beyond))
            step += 1

    def distribution(self) -> str:
        """Return the percentile distribution in the text form (`.hgrm`) that HdrHistogram's plotters read, in ms."""
        output = io.BytesIO()
        self._histogram().output_percentile_distribution(output, _US_PER_MS)
        return output.getvalue().decode()

    def encode(self) -> str:
        """Return the histogram in the compressed form, version 2, that HdrHistogram's other tools read."""
        return str(self._histogram().encode(), "ascii")

    def _histogram(self) -> HdrHistogram:
        histogram = HdrHistogram(1, _LONGEST_US, _DIGITS)
        for edge, count in self._counts.items():
            histogram.record_value(edge, count)
        return histogram
