"""The C heap: what is kept for the next request, and what goes back to the machine when a version comes or goes."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from penstock.execution.control_groups import OWN, ROOT
from penstock.execution.memory_limit import MemoryLimit

_MIB: Final = 1024**2
_LARGEST_MIB: Final = 32
"""Blocks from this size on are mapped one by one; glibc takes no more."""
_KEPT_MIB: Final = 64
"""How much free memory at the end of a heap is kept while versions neither come nor go."""
_KEPT_MEANWHILE_MIB: Final = 1
_TRIM_THRESHOLD: Final = -1  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_ARENA_MAX of malloc.h
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8


def machine_bytes(root: Path = ROOT, own: Path = OWN) -> int:
    """Return the memory that the process may use at most: the machine's, or the limit of one of its control groups if that is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(machine, MemoryLimit(root, own).least_bytes or machine)


def own_bytes(pid: int | str) -> int:
    """Return what a process has in memory for itself, neither files nor shared memory; 0 if it is gone."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


class _Heap:
    """glibc's malloc, as far as it can be told what to do; nothing happens with another C library."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._glibc = library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
        self._settled = False
        self._thrifty = 0
        self._lock = threading.Lock()

    def settle(self) -> None:
        """Fix the thresholds, which glibc else moves with what is freed."""
        self._settled = True
        if self._glibc is not None:
            self._glibc.mallopt(_ARENA_MAX, 1)
        self._set(_MMAP_THRESHOLD, _LARGEST_MIB)
        self._set(_TRIM_THRESHOLD, _KEPT_MIB)

    @contextlib.contextmanager
    def thrifty(self) -> Iterator[None]:
        """Keep little for as long as any such context lasts, and give back what is left at its end."""
        self._count(1)
        try:
            yield
        finally:
            if self._glibc is not None:
                self._glibc.malloc_trim(0)
            self._count(-1)

    def _count(self, step: int) -> None:
        with self._lock:
            self._thrifty += step
            if self._settled:
                self._set(_TRIM_THRESHOLD, _KEPT_MEANWHILE_MIB if self._thrifty else _KEPT_MIB)

    def _set(self, parameter: int, mib: int) -> None:
        if self._glibc is not None:
            self._glibc.mallopt(parameter, mib * _MIB)


_HEAP: Final = _Heap()


def settle_heap() -> None:
    """Keep freed blocks of up to 32 MiB for the next ones, in a process that serves; call it once, at the start.

    `thrifty` moves one threshold, and from then on glibc adapts none to what a process uses: so both are set where it would end up
    after large blocks. Without that, three blocks of 600 KiB took 1.2 ms in place of 47 us to get, fill and free, since their pages
    went to the kernel and back each time; predictions of that size cost a few per cent less CPU.

    All threads take from one heap. With one for each, what a thread takes and another one frees leaves gaps that nobody else may fill:
    a version that came every five seconds, under load and with payloads recorded, made the heaps grow by 70 MiB an hour.
    """
    _HEAP.settle()


def thrifty() -> contextlib.AbstractContextManager[None]:
    """Return a context in which a version comes or goes: what it frees goes back to the machine, at its end at the latest.

    Else glibc keeps it: after the unload of 200 MiB of weights in tensors of 4 MiB, all 200 MiB stayed resident. The end takes about
    0.1 ms for each MiB that is given back, on the calling thread and without the interpreter's lock.
    """
    return _HEAP.thrifty()
