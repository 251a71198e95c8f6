"""One timer for the deadlines of all calls of a connection."""

import asyncio
from collections.abc import Mapping
from typing import Final

from penstock.domain.clock import NS_PER_S, monotonic
from penstock.grpc.native_call import Call


class Alarm:
    """Ends calls whose deadlines have passed. Lives on the event loop."""

    __slots__ = ("_at_ns", "_calls", "_timer")

    def __init__(self, calls: Mapping[int, Call]) -> None:
        self._calls: Final = calls
        self._timer: asyncio.TimerHandle | None = None
        self._at_ns = 0
        """When the deadline of some call may have passed."""

    def expect(self, deadline_ns: int) -> None:
        """Look at the deadlines in time for this one."""
        if self._timer is not None:
            if self._at_ns <= deadline_ns:
                return
            self._timer.cancel()
        self._at_ns = deadline_ns
        self._timer = asyncio.get_running_loop().call_later(max(0, deadline_ns - monotonic()) / NS_PER_S, self._ring)

    def _ring(self) -> None:
        self._timer, now_ns = None, monotonic()
        ahead = [(call.deadline_ns, call) for call in self._calls.values() if call.deadline_ns is not None]
        for deadline_ns, call in ahead:
            if deadline_ns <= now_ns:
                call.expire()
        if left := [deadline_ns for deadline_ns, _ in ahead if deadline_ns > now_ns]:
            self.expect(min(left))

    def cancel(self) -> None:
        """Look at nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
