"""What goes wrong in those who only look on: it costs no prediction, is counted, and told in the log now and then."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from penstock.domain.clock import NS_PER_S, Clock, monotonic

_log = logging.getLogger(__name__)
_QUIET_NS: Final = 30 * NS_PER_S
HOOKS: Final = ("log", "record", "drift", "shadow")
"""Who hears of predictions: the log, with traces; payloads, with feedback; drift; shadows."""


class HookErrors:
    """Lives on the event loop."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self.counts: Final = Counter(dict.fromkeys(HOOKS, 0))
        self._clock = clock
        self._told_ns: dict[str, int] = {}

    def add(self, hook: str) -> None:
        """Count the exception that is being handled, and log its stack unless that was done for this hook just before."""
        self.counts[hook] += 1
        now_ns = self._clock()
        if now_ns >= self._told_ns.get(hook, 0):
            self._told_ns[hook] = now_ns + _QUIET_NS
            _log.exception("the hook %s has failed; predictions are answered, and further failures only counted for a while", hook)

    def guarded(self, hook: str, call: Callable[..., None]) -> Callable[..., None]:
        """Return the call without its exceptions, which are counted."""

        def guarded(*arguments: object) -> None:
            try:
                call(*arguments)
            except Exception:
                self.add(hook)

        return guarded
