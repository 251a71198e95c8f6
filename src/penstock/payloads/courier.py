"""Carries what waits to its destination, on a thread of its own, and waits longer and longer where that fails."""

import logging
import random
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

_log = logging.getLogger(__name__)
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_LOOK_S: Final = 1.0
_BEGIN_PART: Final = 0.75
"""Of the time for a stop in which something may be begun; the rest is for what is under way then."""
_OPENS_AFTER: Final = 3
"""Failures after which only a probe is sent until one succeeds."""
_random: Final = random.Random()  # noqa: S311 - spreads retries, guards nothing


class Errand(Enum):
    """What became of one attempt."""

    NOTHING = auto()
    """There was nothing to carry."""
    DONE = auto()
    """Something has arrived, or is out of the way for good."""


class NotDelivered(Exception):
    """The destination did not take what it was sent, and may take it later."""


class Breaker:
    """How long to wait after failures, and how much to try then. Pure: `spread` is a number from 0 to 1."""

    def __init__(self, first_s: float = _FIRST_PAUSE_S, longest_s: float = _LONGEST_PAUSE_S) -> None:
        self.failures = 0
        self._first_s = first_s
        self._longest_s = longest_s

    @property
    def is_open(self) -> bool:
        """Whether a probe is all that the destination is to get."""
        return self.failures >= _OPENS_AFTER

    def pause_s(self, spread: float) -> float:
        """Return the pause before the next attempt: doubled with each failure, half of it spread: servers come back one by one."""
        if not self.failures:
            return 0
        longest = min(self._longest_s, self._first_s * (1 << min(self.failures - 1, 16)))
        return longest * (1 + spread) / 2


class Courier:
    """Calls `carry(probe)` until it is stopped; that may block, and raises `NotDelivered`."""

    def __init__(self, name: str, carry: Callable[[bool], Errand], heard: Callable[[bool], None], breaker: Breaker | None = None) -> None:
        """`heard` is told after each attempt whether the destination took it."""
        self._name = name
        self._carry = carry
        self._heard = heard
        self._breaker = breaker or Breaker()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._until_s: float | None = None
        self._thread: threading.Thread | None = None

    def hurry(self) -> None:
        """Hear that there is something to carry."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="penstock-courier", daemon=True)
            self._thread.start()
        self._wake.set()

    def stop(self, within_s: float) -> bool:
        """Carry what is left, unless that fails or takes longer; returns whether the thread has ended. Blocks."""
        self._until_s = time.monotonic() + within_s * _BEGIN_PART
        self._stopped.set()
        self._wake.set()
        if self._thread is None:
            return True
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while self._may_go_on():
            try:
                errand = self._carry(self._breaker.is_open)
            except NotDelivered as problem:
                self._failed(str(problem))
                continue
            except Exception:
                _log.exception("payloads cannot be sent to %s for a reason of ours", self._name)
                self._failed("a fault of ours")
                continue
            if errand is Errand.DONE:
                self._worked()
            elif self._stopped.is_set():
                return
            else:
                self._wake.wait(_LOOK_S)
                self._wake.clear()

    def _may_go_on(self) -> bool:
        if not self._stopped.is_set():
            return True
        return self._breaker.failures == 0 and self._until_s is not None and time.monotonic() < self._until_s

    def _failed(self, problem: str) -> None:
        self._breaker.failures += 1
        self._heard(False)
        if self._breaker.failures == 1:
            _log.warning("payloads cannot be sent to %s: %s; they wait on the disk, predictions go on", self._name, problem)
        self._stopped.wait(self._breaker.pause_s(_random.random()))

    def _worked(self) -> None:
        if self._breaker.failures:
            _log.info("payloads can be sent to %s again", self._name)
        self._breaker.failures = 0
        self._heard(True)
