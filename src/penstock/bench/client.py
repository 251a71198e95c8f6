"""What a protocol's client is to the worker that drives it."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Failure(NamedTuple):
    """Why a request has no answer, or none that is worth anything."""

    kind: str
    """Failures of one kind are counted together."""
    sample: str
    """What was said in this one."""


Done = Callable[[Failure | None], None]
"""Called once on the event loop when the answer is complete, or has failed; never before `ask` returns."""


class Client(Protocol):
    """Asks a target; one request at a time on each connection or stream, and as many of those as it takes."""

    async def start(self, connections: int) -> None:
        """Open that many connections; raises `CannotMeasure` if nobody listens."""

    def ask(self, body: bytes, done: Done) -> None:
        """Send a request, now."""

    async def close(self) -> None:
        """Close every connection; those who still wait hear nothing more."""
