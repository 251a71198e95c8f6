"""Time as integer nanoseconds of one monotonic clock."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns nanoseconds since an arbitrary start; never goes back."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000

monotonic: Clock = time.monotonic_ns
