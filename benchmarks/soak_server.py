"""`penstock` that writes how many tasks it has to the file `tasks`, and leaks what stands in the file `leak`, once a second.

The file holds words: `memory` (512 KiB), `descriptors`, `threads`, `tasks` (one).
"""

import asyncio
import threading
from pathlib import Path
from typing import Any, Final

from penstock.cli.main import main
from penstock.inference.vitals import Vitals

_LEAKED: Final[list[Any]] = []
_start = Vitals.start
_CHUNK: Final = 512 * 1024


def start(self: Vitals) -> None:
    """Start, and begin to write."""
    _start(self)
    _LEAKED.append(asyncio.ensure_future(_tell()))


async def _tell() -> None:
    while True:
        await asyncio.sleep(1)
        path = Path("leak")
        for kind in path.read_text().split() if path.exists() else ():  # noqa: ASYNC240 - a server under test
            _LEAKED.append(await _leaked(kind))
        Path("tasks").write_text(str(len(asyncio.all_tasks())))  # noqa: ASYNC240


async def _leaked(kind: str) -> object:
    match kind:
        case "memory":
            return b"x" * _CHUNK
        case "descriptors":
            return Path("/dev/null").open("rb")  # noqa: ASYNC230 - it is never closed
        case "threads":
            thread = threading.Thread(target=threading.Event().wait, daemon=True)
            thread.start()
            return thread
        case _:
            return asyncio.ensure_future(asyncio.Event().wait())


if __name__ == "__main__":
    Vitals.start = start  # type: ignore[method-assign]
    main()
