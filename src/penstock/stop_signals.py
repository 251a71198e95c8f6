"""How a server is told to stop."""

import asyncio
import contextlib
import logging
import signal

_log = logging.getLogger(__name__)


class StopSignals:
    """SIGTERM and SIGINT, in the order in which they come."""

    def __init__(self) -> None:
        self.repeated = False
        self.announce = True
        self._first = asyncio.Event()
        self._again = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received, number)

    async def wait(self) -> None:
        """Return at the first signal."""
        await self._first.wait()

    async def again_within(self, seconds: float) -> None:
        """Return after that time, or at a second signal."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._again.wait(), seconds)

    def _received(self, number: signal.Signals) -> None:
        if self._first.is_set():
            self.repeated = True
            self._again.set()
            return
        self.announce = number == signal.SIGTERM  # who presses Ctrl-C has no balancer to tell
        _log.info("%s received", signal.Signals(number).name)
        self._first.set()
