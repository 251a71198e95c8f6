"""Work in Python on a thread that others should not have to wait for."""

import sys
import threading
from typing import Final, Self

_SOON_S: Final = 5e-5
_lock: Final = threading.Lock()
_guests: Final[set["Courtesy"]] = set()
"""Those that are courteous now."""


class Courtesy:
    """Hands the interpreter over soon to whoever asks for it, from the start of a `with` block to its end.

    A thread that computes in Python keeps the interpreter for 5 ms where another wants it, which an event loop would feel. The interval
    is the whole process's, but it is the one who waits that goes by it: so it costs only while such work is under way.
    """

    _usual_s = 0.0

    def __enter__(self) -> Self:
        with _lock:
            if not _guests:
                Courtesy._usual_s = sys.getswitchinterval()
                sys.setswitchinterval(_SOON_S)
            _guests.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End it, from any thread; once is enough, and a block that never ends is left behind by it."""
        with _lock:
            if self in _guests:
                _guests.remove(self)
                if not _guests:
                    sys.setswitchinterval(Courtesy._usual_s)
