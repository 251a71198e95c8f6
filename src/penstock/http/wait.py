"""What a connection waits for, and for how long it may."""

import math
from enum import Enum
from typing import Final

from penstock.domain.clock import NS_PER_S
from penstock.http.options import HttpOptions

_LINGER_S: Final = 2.0
"""How long the rest of a refused request is read and dropped, so that its sender sees the answer instead of a reset."""


class Phase(Enum):
    """What is to come next."""

    REQUEST = 0
    """A further request."""
    HEAD = 1
    """The first request of a connection, or the rest of a head."""
    BODY = 2
    ANSWER = 3
    """The predictor or the application: they have deadlines of their own."""
    END = 4
    """The client's end of a connection that is over."""


# Plain names: to look a member up in its enumeration takes Python 3.11 a sixth of a microsecond, and each request asks five times.
REQUEST, HEAD, BODY, ANSWER, END = Phase


class Wait:
    """The present phase, and how long it has lasted; times are nanoseconds of the monotonic clock.

    Most phases are over long before anybody looks at them, so the first look at one counts as its begin.
    """

    __slots__ = ("_stuck_bytes", "_stuck_since_ns", "phase", "since_ns")

    def __init__(self) -> None:
        self.phase = Phase.HEAD
        self.since_ns = 0
        """When the phase was first looked at; 0 until then."""
        self._stuck_since_ns = 0
        self._stuck_bytes = 0

    def enter(self, phase: Phase) -> None:
        """Wait for something else."""
        self.phase = phase
        self.since_ns = 0

    def overdue_s(self, now_ns: int, received: int, options: HttpOptions) -> float:
        """Return the seconds waited if they are too many, else 0; `received` counts the body's bytes."""
        self.since_ns = self.since_ns or now_ns
        waited_s = (now_ns - self.since_ns) / NS_PER_S
        return waited_s if waited_s > self._allowed_s(received, options) else 0.0

    def is_stuck(self, now_ns: int, unread: int, options: HttpOptions) -> bool:
        """Tell whether the client has for too long read nothing of the bytes that wait for it."""
        if not unread or unread < self._stuck_bytes or not self._stuck_bytes:
            self._stuck_since_ns = now_ns
        self._stuck_bytes = unread
        return unread > 0 and now_ns - self._stuck_since_ns > options.write_timeout_s * NS_PER_S

    def _allowed_s(self, received: int, options: HttpOptions) -> float:
        match self.phase:
            case Phase.REQUEST:
                return options.keep_alive_s
            case Phase.HEAD:
                return options.head_timeout_s
            case Phase.BODY:
                return options.body_timeout_s + received / options.min_body_bytes_per_s
            case Phase.END:
                return _LINGER_S
        return math.inf
