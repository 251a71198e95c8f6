"""Time as integer nanoseconds of one monotonic clock."""

import time
from collections.abc import Callable
from typing import Final

Clock = Callable[[], int]
"""Returns nanoseconds since an arbitrary start; never goes back."""

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000

monotonic: Clock = time.monotonic_ns
