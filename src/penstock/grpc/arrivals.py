"""What clients have begun to send, and whether the rest of it takes too long."""

from collections.abc import Mapping
from typing import Final

from penstock.domain.clock import NS_PER_S
from penstock.grpc.options import GrpcOptions

Arriving = tuple[int, int]
"""A frame or a field block that is half here (stream 0), or a message of a stream; the second number tells it from the one before."""


class Arrivals:
    """Remembers of one connection since when something has been on its way; the first look at it counts as its begin.

    Almost everything is whole long before anybody looks, so nothing is noted as bytes arrive. Times are nanoseconds of the monotonic clock.
    """

    __slots__ = ("_options", "_since_ns")

    def __init__(self, options: GrpcOptions) -> None:
        self._options: Final = options
        self._since_ns: dict[Arriving, int] | None = None

    def late(self, here: Mapping[Arriving, int], now_ns: int) -> list[Arriving]:
        """Return what has taken too long of all that is on its way; `here` says how many bytes of each have come."""
        before = self._since_ns or {}
        self._since_ns = {what: before.get(what, now_ns) for what in here} or None
        return [what for what, since_ns in (self._since_ns or {}).items() if now_ns - since_ns > self._allowed_ns(here[what])]

    def _allowed_ns(self, received: int) -> float:
        return (self._options.message_timeout_s + received / self._options.min_message_bytes_per_s) * NS_PER_S
