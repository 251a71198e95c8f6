"""`penstock` that writes about once a second what it has in use, and leaks what stands in the file `leak`.

The file holds words: `memory` (512 KiB), `descriptors`, `threads`, `tasks` (one).
"""

import asyncio
import ctypes
import json
import sys
import threading
from pathlib import Path
from typing import Any, Final

from holdings import FILE, pause

from penstock.cli.main import main
from penstock.inference.vitals import Vitals

_LEAKED: Final[list[Any]] = []
_start = Vitals.start
_CHUNK: Final = 512 * 1024
_NAMES: Final = 60_000
_BUSY, _MAPPED, _FIELDS = 7, 4, 10
"""Where `uordblks` and `hblkhd` stand in glibc's `struct mallinfo2`."""


class _MallInfo(ctypes.Structure):
    _fields_ = (("sizes", ctypes.c_size_t * _FIELDS),)


_C: Final = ctypes.CDLL(None)
_C.mallinfo2.restype = _MallInfo


def start(self: Vitals) -> None:
    """Start, and begin to write."""
    _start(self)
    _widen()
    _LEAKED.append(asyncio.ensure_future(_tell()))


def _widen() -> None:
    """Give the interpreter's table of texts room for longer than a soak lasts.

    Every part of every path comes into it, those that have gone leave their places behind, and when it is full, after some twenty
    minutes, it is made anew and doubles: by a MiB, once.
    """
    names = [sys.intern(f"soaked-{number}") for number in range(_NAMES)]
    del names


async def _tell() -> None:
    path, new = Path("leak"), Path(f"{FILE}.new")
    while True:
        for kind in path.read_text().split() if path.exists() else ():  # noqa: ASYNC240 - a server under test
            _LEAKED.append(await _leaked(kind))
        new.write_text(json.dumps(_in_use()))  # noqa: ASYNC240
        new.replace(FILE)  # noqa: ASYNC240
        await pause()


def _in_use() -> dict[str, int]:
    """Return what is in use, once the pages that malloc holds in vain are given back: what it has needed at most can only rise."""
    _C.malloc_trim(0)
    sizes = _C.mallinfo2().sizes
    return {"tasks": len(asyncio.all_tasks()), "heap": sizes[_BUSY] + sizes[_MAPPED]}


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
