"""One alarm for each model."""

import asyncio
from collections.abc import Callable


class Timers:
    """Lives on the event loop."""

    def __init__(self) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, wait_s: float | None, ring: Callable[[str], None]) -> None:
        """Have `ring` called on the name after a while, in place of what was set for it before; with None, not at all."""
        if name in self._timers:
            self._timers.pop(name).cancel()
        if wait_s is not None:
            self._timers[name] = asyncio.get_running_loop().call_later(max(0.0, wait_s), ring, name)

    def close(self) -> None:
        """Ring no more."""
        for timer in self._timers.values():
            timer.cancel()
