"""Notices when the event loop stands still, and says where: a thread that asks it for a sign of life."""

import asyncio
import linecache
import logging
import sys
import threading
import traceback
from time import monotonic
from typing import Final

_log = logging.getLogger(__name__)
_PAUSE_S: Final = 0.5
_PATIENCE_S: Final = 1.0
"""How long the loop may take to give a sign. With the pause: whatever lasts for 1.5 s is seen."""


class Watchdog:
    """Asks the event loop that starts it twice in a second, which costs both some 50 microseconds; counts and tells of stalls.

    It neither ends nor restarts anything: one stall is no reason to, and what a supervisor asks (liveness) shows one that does not end.
    """

    def __init__(self, pause_s: float = _PAUSE_S, patience_s: float = _PATIENCE_S) -> None:
        self.stalls = 0
        self.stalled_s = 0.0
        self._pause_s = pause_s
        self._patience_s = patience_s
        self._stopping = threading.Event()
        self._sign = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the running loop, from its own thread."""
        arguments = (asyncio.get_running_loop(), threading.get_ident())
        self._thread = threading.Thread(target=self._watch, args=arguments, name="penstock-watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._stopping.set()
        self._sign.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, loop: asyncio.AbstractEventLoop, owner: int) -> None:
        while not self._stopping.wait(self._pause_s):
            self._sign.clear()
            asked_s = monotonic()
            loop.call_soon_threadsafe(self._sign.set)
            if not self._sign.wait(self._patience_s):
                self._stalled(owner, asked_s)

    def _stalled(self, owner: int, since_s: float) -> None:
        self.stalls += 1
        frame = sys._current_frames().get(owner)  # noqa: SLF001 - the documented way to see another thread's stack
        where = "".join(traceback.format_stack(frame)) if frame is not None else "unknown"
        linecache.clearcache()  # the sources of a whole stack are half a megabyte, which nobody reads again
        _log.error("the event loop has stood still for %.1f s, at:\n%s", monotonic() - since_s, where)
        self._sign.wait()
        lasted_s = monotonic() - since_s
        self.stalled_s += lasted_s
        _log.warning("the event loop goes on after %.1f s", lasted_s)
