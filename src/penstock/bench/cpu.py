"""How much CPU time processes take."""

import ctypes
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from penstock.bench.plan import CannotMeasure
from penstock.domain.clock import NS_PER_S

_LIBC: Final = ctypes.CDLL(None)


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds of the processes so far: all their threads, living and ended.

    The kernel's clock of a process counts nanoseconds; `/proc/PID/stat` has the same figure in steps of 10 ms, too coarse
    for short rounds. Raises `CannotMeasure` for a process that is not there.
    """
    return sum(map(_cpu_ns, pids)) / NS_PER_S


def waited_s() -> float:
    """Return how long this thread was ready to run and no core was free; 0 where the kernel does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text("utf-8").split()[1]) / NS_PER_S
    except (OSError, IndexError):
        return 0.0


def _cpu_ns(pid: int) -> int:
    clock = ctypes.c_int()
    if _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        raise CannotMeasure(f"there is no process {pid} on this machine whose CPU time could be counted")
    return time.clock_gettime_ns(clock.value)
