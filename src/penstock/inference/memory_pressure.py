"""Refuses predictions before the kernel ends the process: what is under way may still finish, and idle models give memory back."""

import logging
import threading
from typing import Final, Protocol

from penstock.inference.admission import Admission

_log = logging.getLogger(__name__)
_LOOK_S: Final = 0.25
_RELIEF: Final = 0.03
"""How far below the limit memory has to fall before predictions are taken again, so that they do not come and go."""


class Limit(Protocol):
    """What limits the memory."""

    def used_part(self) -> float | None:
        """Return the part in use of what is allowed; None where nothing is limited."""


class MemoryPressure:
    """Looks four times in a second, on a thread of its own where there is a limit at all; the event loop only reads what it found."""

    def __init__(self, admission: Admission, most: float, limit: Limit) -> None:
        """Predictions are refused while more than `most` of the memory is in use."""
        self.part: float | None = None
        self._admission = admission
        self._most = most
        self._limit = limit
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look from now on; where nothing is limited there is nothing to look at."""
        self.look()
        if self.part is not None:
            self._thread = threading.Thread(target=self._watch, name="penstock-memory", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> None:
        """Take in how much is used, and let predictions in or not."""
        self.part = self._limit.used_part()
        was, part = self._admission.short_of_memory, self.part or 0.0
        short = part > self._most - (_RELIEF if was else 0.0)
        if short != was:
            self._admission.short_of_memory = short
            _log.warning("%.0f %% of the memory is in use: predictions are %s", 100 * part, "refused" if short else "taken again")

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            self.look()
