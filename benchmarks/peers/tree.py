"""A server with all its processes: their CPU time, their memory, and their end."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final, NamedTuple

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
STOP_S: Final = 10.0


class Process(NamedTuple):
    """One line of /proc/PID/stat: times in seconds, memory in bytes; the start tells a pid from its next owner."""

    pid: int
    parent: int
    cpu_s: float
    rss: int
    start: int


def tree(root: int) -> list[Process]:
    """Return a process and all that descend from it."""
    children: dict[int, list[Process]] = {}
    for process in filter(None, map(_read, _pids())):
        children.setdefault(process.parent, []).append(process)
    found = [process] if (process := _read(root)) else []
    for process in found:  # it grows while it is read
        found += children.get(process.pid, [])
    return found


def cpu_s(root: int) -> float:
    """Return the CPU seconds of the whole tree, those of children that have ended among them."""
    return sum(process.cpu_s for process in tree(root))


def rss_mib(root: int) -> float:
    """Return the resident memory of the whole tree; pages that processes share count in each."""
    return sum(process.rss for process in tree(root)) / 2**20


def end(root: int) -> None:
    """Ask the root to stop, and kill what is left of the tree afterwards; the caller waits for the root itself."""
    doomed = tree(root)
    with contextlib.suppress(ProcessLookupError):
        os.kill(root, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while time.monotonic() < deadline and any(map(_lives, doomed)):
        time.sleep(0.05)
    for process in filter(_lives, doomed):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _lives(process: Process) -> bool:
    now = _read(process.pid)
    return now is not None and now.start == process.start


def _read(pid: int) -> Process | None:
    """Return nothing for a process that has ended, be it waited for or not."""
    try:
        # The name of the program, in brackets, may hold blanks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] == "Z":
        return None
    cpu = sum(map(int, fields[11:15])) / _TICKS_PER_S  # own and waited-for children's, user and system
    return Process(pid, int(fields[1]), cpu, int(fields[21]) * _PAGE, int(fields[19]))
