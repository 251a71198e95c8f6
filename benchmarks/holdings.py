"""What the process of a server holds, read from outside; a server of `soak_server.py` tells what it has in use, too."""

import json
from pathlib import Path
from typing import Final

from penstock.execution.memory import own_bytes

MIB: Final = 1024**2
FILE: Final = "in_use.json"
"""In the directory of a `soak_server.py`: tasks, the blocks of Python's objects, and the bytes of malloc."""
LEAST: Final = {"memory": 4.0, "heap": 4.0, "blocks": 50_000.0, "descriptors": 4.0, "threads": 4.0, "tasks": 4.0}
"""What counts as growth over the time that was looked at: MiB, or things.

`memory` are the pages that are the process's own, libraries left out. A heap keeps the pages that it has ever needed, so they never become
fewer, and each one more is a slope above zero; `heap` and `blocks` are what is in use of them, which comes and goes.
"""


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
        "blocks": in_use["blocks"],
        "descriptors": descriptors(pid),
        "threads": threads,
        "tasks": in_use["tasks"],
    }
