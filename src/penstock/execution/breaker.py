"""Whether a model whose worker process dies again and again is tried any more."""

from collections import deque
from enum import StrEnum
from typing import Final

_MOST: Final = 3
_WITHIN_S: Final = 300.0
_REST_S: Final = 30.0
_MOST_REST_S: Final = 300.0
_MOST_PAUSE_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.1


class BreakerState(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    """Everything."""
    HALF_OPEN = "half_open"
    """Everything, but the next death opens it again."""
    OPEN = "open"
    """Nothing."""


class Breaker:
    """Opens at the third death within five minutes; after a rest the first run decides. Pure: seconds come in.

    Each rest without a run that passed is twice as long as the one before, up to five minutes.
    """

    def __init__(self, most: int = _MOST, within_s: float = _WITHIN_S, rest_s: float = _REST_S) -> None:
        self.state = BreakerState.CLOSED
        self._most = most
        self._within_s = within_s
        self._first_rest_s = self._rest_s = rest_s
        self._deaths: deque[float] = deque(maxlen=most)
        self._in_a_row = 0
        self._until_s = 0.0

    def died(self, now_s: float, *, counts: bool = True) -> None:
        """Hear of a death. One that `counts` not was expected: of rows that had killed a worker before."""
        self._in_a_row += 1
        if not counts:
            return
        self._deaths.append(now_s)
        if self.state is BreakerState.HALF_OPEN:
            self._rest_s = min(_MOST_REST_S, 2 * self._rest_s)
        elif len(self._deaths) < self._most or now_s - self._deaths[0] > self._within_s:
            return
        self.state = BreakerState.OPEN
        self._until_s = now_s + self._rest_s

    def passed(self) -> None:
        """Hear of a run that the worker survived."""
        self._in_a_row = 0
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.CLOSED
            self._rest_s = self._first_rest_s
            self._deaths.clear()

    def pause_s(self, now_s: float) -> float:
        """Return how long to wait before the next worker is started: not at all at first, then ever longer; the rest of an open breaker."""
        if self.state is BreakerState.OPEN:
            return max(0.0, self._until_s - now_s)
        return 0.0 if self._in_a_row <= 1 else min(_MOST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (self._in_a_row - 2))

    def rested(self) -> None:
        """Let one more worker try, after the pause."""
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN
