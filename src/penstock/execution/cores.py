"""How many cores the process may really use."""

import math
import os
from pathlib import Path

from penstock.execution.control_groups import OWN, ROOT, control_groups, text_of


def usable_cores(root: Path = ROOT, own: Path = OWN) -> int:
    """Return the smallest of the CPU affinity and the quotas of the process's control groups, at least 1.

    A quota is invisible to `os.cpu_count`; thread pools sized by that thrash.
    """
    quotas = [math.ceil(_quota(version, folder)) for version, folder in control_groups("cpu", root, own)]
    return min([len(os.sched_getaffinity(0)), *filter(None, quotas)])


def _quota(version: int, folder: Path) -> float:
    """Return the cores that a group allows, 0 where it limits nothing.

    Version 2 writes "<quota> <period>" in microseconds, or "max <period>"; version 1 a file for each, and -1 for no quota.
    """
    names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")  # noqa: PLR2004
    fields = " ".join([text_of(folder / name) for name in names]).split()
    if len(fields) != 2 or not fields[0].isdecimal():  # noqa: PLR2004 - quota and period
        return 0.0
    return int(fields[0]) / int(fields[1])
