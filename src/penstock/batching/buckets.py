"""Which lengths may share a run. Pure arithmetic in elements, rows and nanoseconds.

A bucket exists while a request of its length waits: traffic makes it, and two of them meet in a run where that ends both sooner.
"""

from bisect import bisect_left
from typing import Final

from penstock.batching.latency import LatencyModel

_LONGEST: Final = 1 << 40


def _grid() -> list[int]:
    """Return the longest length of each bucket: each a quarter more than the one before, in whole numbers."""
    lengths = [1]
    while lengths[-1] < _LONGEST:
        lengths.append(max(lengths[-1] + 1, lengths[-1] * 5 // 4))
    return lengths


_GRID: Final = _grid()


def bucket_length(length: int) -> int:
    """Return the longest length of the bucket that a length is in: itself up to 8, then less than a quarter more.

    So a run of one bucket is padding for less than a fifth of it.
    """
    return _GRID[bisect_left(_GRID, length)]


def worth_joining(rows: int, length: int, more: int, other: int, latency: LatencyModel) -> bool:
    """Tell whether rows of one length and more of another end sooner in one run, padded to the longer, than in two.

    With a run of `alpha + beta * elements` it is so while the elements that are added as padding take less time than a run's fixed
    cost. Never true while nothing is known of the model's speed.
    """
    together = latency.expect((rows + more) * max(length, other))
    return together < latency.expect(rows * length) + latency.expect(more * other)
