"""What tests see of processes, and wait for."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from penstock.execution.isolated_session import IsolatedSession

_T = TypeVar("_T")
Isolate = Callable[..., IsolatedSession]
"""Opens a graph in a worker process."""


def until(condition: Callable[[], _T], within_s: float = 20.0) -> _T:
    """Return what the condition returns once that is true; fail if it is not in time."""
    deadline = time.monotonic() + within_s
    while not (held := condition()):
        assert time.monotonic() < deadline, "it never held"
        time.sleep(0.002)
    return held


def fields(pid: int) -> list[str]:
    """Return what `/proc/PID/stat` says after the name; nothing of a process that is gone or was reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_gone(pid: int) -> bool:
    """Tell whether the process has ended; one that nobody has reaped yet has, too."""
    return (fields(pid) or ["Z"])[0] in ("Z", "X")


def is_stopped(pid: int) -> bool:
    """Tell whether the process is stopped."""
    return (fields(pid) or [""])[0] == "T"


def ticks(pid: int) -> int:
    """Return the CPU time of a process, in ticks of 10 ms."""
    return sum(int(field) for field in fields(pid)[11:13])


def until_busy(pid: int, ticks_more: int = 3) -> None:
    """Wait until the process has computed for a while: a run is under way in it."""
    before = ticks(pid)
    until(lambda: ticks(pid) >= before + ticks_more)


def children(pid: int) -> set[int]:
    """Return the processes that a process has started."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := fields(int(entry.name))) and int(stat[1]) == pid:
            found.add(int(entry.name))
    return found
