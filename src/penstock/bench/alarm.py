"""An alarm clock for an event loop, far finer than the loop's own timers, which count in milliseconds."""

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Callable
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_ABSOLUTE: Final = 1  # TFD_TIMER_ABSTIME
_NS_PER_S: Final = 1_000_000_000


class Alarm:
    """Calls `ring` on the running loop at a moment of the monotonic clock; a timerfd of Linux."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        # os.timerfd_create comes with Python 3.13.
        self._fd: Final = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "no timerfd")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._rang)

    def set(self, moment_ns: int) -> None:
        """Ring at that moment, or at once if it has passed; replaces what was set before."""
        # struct itimerspec: no interval, then seconds and nanoseconds; all zeros would switch the timer off.
        spec = (ctypes.c_long * 4)(0, 0, *divmod(max(1, moment_ns), _NS_PER_S))
        _LIBC.timerfd_settime(self._fd, _ABSOLUTE, spec, None)

    def close(self) -> None:
        """Ring no more."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _rang(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
        self._ring()
