"""Which machine a run was made on: figures of two machines are never compared."""

import os
import platform
from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """What makes figures comparable. Names are left out: a CI job gets another one each time."""

    cpu: str
    cores: int
    """That the process may use."""
    memory_gib: int

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.cpu}, {self.cores} cores, {self.memory_gib} GiB"


def this_machine() -> Machine:
    """Return the machine that this process runs on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(_cpu(), len(os.sched_getaffinity(0)), round(memory / 2**30))


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
