"""Judges the cases of a target one by one, and keeps what breaks its promise."""

import hashlib
import json
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Final

import target
from watchdog import Watchdog

BUILD: Final = Path(__file__).parents[1] / "build" / "fuzz"
_WEIGHED: Final = 257
"""Of so many cases one has its memory measured, which takes many times as long."""
_MOST_PARTS: Final = 1.5
_OF_ANY: Final = 80 * 1024
"""Bytes that any case may take: a connection, an error, its answer, and the 44 KB that inflating needs (zlib's technical details)."""


class Judge:
    """Judges cases one by one, and counts them."""

    def __init__(self, chosen: target.Target) -> None:
        self.target: Final = chosen
        self.watchdog: Final = Watchdog()
        self.taken = 0
        self.began_s: Final = time.monotonic()

    @property
    def cases(self) -> int:
        """How many there were."""
        return self.watchdog.cases

    def __call__(self, data: bytes) -> bool:
        """Return whether a case was taken; raises what breaks a promise, and keeps the bytes of it."""
        self.watchdog.cases += 1
        self.watchdog.hung = False
        try:
            taken = self._weighed(data) if self.target.limit_bytes and not self.cases % _WEIGHED else self.target.case(data)
            self.watchdog.check()
        except BaseException as error:
            print(f"{kept(self.target.name, data)}: {type(error).__name__}: {str(error)[:2000]}", file=sys.stderr)
            raise
        self.taken += taken
        return taken

    def _weighed(self, data: bytes) -> bool:
        tracemalloc.start()
        try:
            taken = self.target.alone(data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        most = _MOST_PARTS * self.target.limit_bytes + _OF_ANY
        assert taken or peak <= most, f"a refusal took {peak} bytes, more than {most:.0f}"
        return taken

    def report(self, **more: object) -> None:
        """Print what there is to know."""
        seconds = time.monotonic() - self.began_s
        print(json.dumps({"target": self.target.name, "cases": self.cases, "taken": self.taken, "seconds": seconds, **more}), flush=True)


def kept(name: str, data: bytes) -> Path:
    """Write the bytes of a finding where they can be replayed."""
    path = BUILD / "findings" / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
    path.write_bytes(data)
    return path
