"""Ends a case that has used a second of the processor: a hang, whatever it waits for."""

import signal
from types import FrameType
from typing import Final

_TICK_S: Final = 0.5
_MOST_TICKS: Final = 2


class Hang(Exception):
    """A case has not ended in time."""


class Watchdog:
    """Looks now and then whether the case is still the same, so that a case itself pays nothing. Counts the process's own time."""

    def __init__(self) -> None:
        self.cases = 0
        """How many have begun; whoever begins one adds to it."""
        self.hung = False
        """Whether the present one has hung: what is raised in it may be caught there."""
        self._seen = 0
        self._ticks = 0

    def start(self) -> None:
        """Begin to look; from the main thread."""
        signal.signal(signal.SIGVTALRM, self._look)
        signal.setitimer(signal.ITIMER_VIRTUAL, _TICK_S, _TICK_S)

    def stop(self) -> None:
        """Look no more."""
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)

    def _look(self, _number: int, _frame: FrameType | None) -> None:
        self._ticks = self._ticks + 1 if self.cases == self._seen else 0
        self._seen = self.cases
        if self._ticks > _MOST_TICKS:
            self._ticks = 0
            self.hung = True
            self.check()

    def check(self) -> None:
        """Raise `Hang` if the present case has hung."""
        if self.hung:
            raise Hang(f"case {self.cases} has used more than a second of the processor")
