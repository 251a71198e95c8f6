"""Looks after the directory of recorded payloads, whoever writes there, and if nobody does."""

import logging
import threading
import time
from pathlib import Path
from typing import Final

from penstock.payloads.feedback_record import FOLDER
from penstock.payloads.leftovers import repair
from penstock.payloads.options import PayloadOptions
from penstock.payloads.retention import forget, forget_old
from penstock.payloads.row_kind import FEEDBACK, PAYLOADS

_log = logging.getLogger(__name__)
_LEAST_S: Final = 60.0
_MOST_S: Final = 3600.0
_SPARING: Final = 1000
"""A look at many files takes long, and the interpreter from others: it is worth so many times what it takes until the next."""
_GRACE_DAYS: Final = 1 / 24
"""A living sink drops what has waited for too long by itself, and counts it: what is still there later is nobody's."""
_LAST_LOOK_S: Final = 3.0


class Caretaker:
    """Looks at the start and then now and then, on a thread of its own: each minute where there are few files."""

    def __init__(self, root: Path, options: PayloadOptions) -> None:
        self._root: Final = root
        self._options: Final = options
        self._stopped: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._work, name="penstock-caretaker", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no more. Blocks; a look that takes long is left behind: whatever ends it, each file is as it was, or done with."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_LOOK_S)

    def look(self) -> None:
        """Finish what writers have left, and remove what is too old, and the oldest where there is too much. Blocks."""
        options = self._options
        for root, kind in ((self._root, PAYLOADS), (self._root / FOLDER, FEEDBACK)):
            repair(root, options.rotate_s, folders=kind.folders)
            forget(root, options.keep_days, options.keep_bytes, kind.folders)
        forget_old(self._root.glob("buffer/*/**/*"), options.keep_days + _GRACE_DAYS)

    def _work(self) -> None:
        pause_s = 0.0
        while not self._stopped.wait(pause_s):
            begun_s = time.thread_time()
            try:
                self.look()
            except Exception:
                _log.exception("recorded payloads cannot be looked after for a reason of ours")
            pause_s = min(max((time.thread_time() - begun_s) * _SPARING, _LEAST_S), _MOST_S)
