"""Work in Python on a thread that others should not have to wait for."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SOON_S: Final = 5e-5
_lock: Final = threading.Lock()
_guests: list[float] = []
"""The usual intervals, one for each thread that is courteous now."""


@contextmanager
def courteous() -> Iterator[None]:
    """Hand the interpreter over soon to whoever asks for it, for as long as this lasts.

    A thread that computes in Python keeps the interpreter for 5 ms where another wants it, which an event loop would feel. The interval
    is the whole process's, but it is the one who waits that goes by it: so it costs only while such work is under way.
    """
    with _lock:
        _guests.append(sys.getswitchinterval() if not _guests else _guests[0])
        sys.setswitchinterval(_SOON_S)
    try:
        yield
    finally:
        with _lock:
            usual_s = _guests.pop()
            if not _guests:
                sys.setswitchinterval(usual_s)
