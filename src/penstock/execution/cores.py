"""How many cores the process may really use."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Return the smaller of the CPU affinity and the cgroup's quota, at least 1.

    A container's quota is invisible to `os.cpu_count`; thread pools sized by that thrash.
    """
    affinity = len(os.sched_getaffinity(0))
    quota = _quota_v2(cgroup) or _quota_v1(cgroup)
    return max(1, min(affinity, math.ceil(quota)) if quota else affinity)


def _quota_v2(cgroup: Path) -> float | None:
    """Read `cpu.max`: "<quota> <period>" in microseconds, or "max <period>" (Linux, cgroup v2)."""
    fields = _words(cgroup / "cpu.max")
    if len(fields) != 2 or fields[0] == "max":  # noqa: PLR2004 - the two fields of the file
        return None
    return int(fields[0]) / int(fields[1])


def _quota_v1(cgroup: Path) -> float | None:
    quota, period = _words(cgroup / "cpu/cpu.cfs_quota_us"), _words(cgroup / "cpu/cpu.cfs_period_us")
    if not quota or not period or int(quota[0]) <= 0:
        return None
    return int(quota[0]) / int(period[0])


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
