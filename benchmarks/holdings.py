"""What the process of a server holds, read from outside; a server of `soak_server.py` tells what it has in use, too."""

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Final

from penstock.execution.memory import own_bytes

MIB: Final = 1024**2
FILE: Final = "in_use.json"
"""In the directory of a `soak_server.py`: its tasks, and the bytes of malloc."""
SOAKED: Final = (
    "env",
    "PYTHONMALLOC=malloc",
    "GLIBC_TUNABLES=glibc.malloc.tcache_count=0",
    sys.executable,
    str(Path(__file__).with_name("soak_server.py")),
)
"""The command `penstock` of a server that tells what it has in use.

Python's objects come from malloc as everything else, and malloc's threads keep nothing for themselves: the pools of the one and the caches
of the other count as in use, and they fill up for longer than a soak lasts.
"""
_BETWEEN_S: Final = (0.5, 1.5)
LEAST: Final = {"memory": 4.0, "heap": 4.0, "descriptors": 4.0, "threads": 4.0, "tasks": 4.0}
"""What counts as growth over the time that was looked at: MiB, or things.

`memory` are the pages that are the process's own, libraries left out, after malloc has given back those that it holds in vain: what has
been needed at most can only rise. `heap` are the bytes in use of them.
"""


async def pause() -> None:
    """Wait between two readings, for a time by chance: what a server does once a second would be read in the same place each time."""
    await asyncio.sleep(random.uniform(*_BETWEEN_S))


def descriptors(pid: int) -> int:
    """Return how many files and sockets a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def holdings(pid: int) -> dict[str, float]:
    """Return the figures of `LEAST`, in its order."""
    process = Path(f"/proc/{pid}")
    in_use = json.loads((process / "cwd" / FILE).read_text())
    threads = sum(1 for _ in (process / "task").iterdir())
    return {
        "memory": own_bytes(pid) / MIB,
        "heap": in_use["heap"] / MIB,
        "descriptors": descriptors(pid),
        "threads": threads,
        "tasks": in_use["tasks"],
    }
