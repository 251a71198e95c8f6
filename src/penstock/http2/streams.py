"""One stream, and the table of its states (RFC 9113, section 5.1)."""

from collections import deque
from enum import IntEnum
from typing import Final

from penstock.http2.windows import ReceiveWindow

Buffer = bytes | memoryview


class State(IntEnum):  # whose members hash as fast as numbers
    """Where a stream is in its life. Nothing is ever pushed, so the reserved states are missing."""

    IDLE = 0
    OPEN = 1
    HALF_CLOSED_REMOTE = 2
    """The peer has sent everything."""
    HALF_CLOSED_LOCAL = 3
    """We have."""
    CLOSED = 4


class Step(IntEnum):
    """What changes a stream's state."""

    OPENS = 0
    """HEADERS of the peer."""
    PEER_ENDS = 1
    """END_STREAM of the peer."""
    WE_END = 2
    """Our END_STREAM."""
    RESETS = 3
    """RST_STREAM, from either side."""


# Plain names: to look a member up in its enumeration takes Python 3.11 a sixth of a microsecond, and each stream asks ten times.
IDLE, OPEN, HALF_CLOSED_REMOTE, HALF_CLOSED_LOCAL, CLOSED = State
OPENS, PEER_ENDS, WE_END, RESETS = Step

NEXT: Final[dict[State, dict[Step, State]]] = {
    IDLE: {OPENS: OPEN},
    OPEN: {PEER_ENDS: HALF_CLOSED_REMOTE, WE_END: HALF_CLOSED_LOCAL, RESETS: CLOSED},
    HALF_CLOSED_REMOTE: {WE_END: CLOSED, RESETS: CLOSED},
    HALF_CLOSED_LOCAL: {PEER_ENDS: CLOSED, RESETS: CLOSED},
    CLOSED: {},
}
"""The next state; a step that is missing is not allowed."""
RECEIVING: Final = frozenset({OPEN, HALF_CLOSED_LOCAL})
"""The states in which the peer may send HEADERS and DATA."""


class Stream:
    """What is known of a stream that is not closed."""

    __slots__ = ("body_left", "id", "queue", "receive_window", "send_window", "state", "trailers", "waited_s")

    def __init__(self, stream_id: int, receive_bytes: int, send_bytes: int, body_bytes: int | None) -> None:
        self.id = stream_id
        self.state = NEXT[IDLE][OPENS]
        self.receive_window = ReceiveWindow(receive_bytes)
        self.send_window = send_bytes
        self.body_left = body_bytes
        """Bytes of DATA that are still to come, where the request said how many."""
        self.queue: deque[Buffer] | None = None
        """DATA that waits for the peer's windows."""
        self.trailers: bytes | None = None
        """The field block that ends the stream behind what waits."""

        self.waited_s = 0
        """Seconds since something of it was written, while something waits."""

    def step(self, step: Step) -> None:
        """Go on to the next state; raises `KeyError` if the table has none."""
        self.state = NEXT[self.state][step]
