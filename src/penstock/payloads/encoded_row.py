"""A prediction that is a line already as it waits for the writer."""

import time
from typing import Final, NamedTuple, Self

from penstock.domain.clock import monotonic
from penstock.payloads.json_rows import line_of
from penstock.payloads.offer import Offer

SMALL_BYTES: Final = 6144
"""Up to this size an offer is encoded by whoever makes it: that takes microseconds while everything is in the caches. Objects that wait for
another thread have gone cold by then, and the two threads take the interpreter from each other, which costs several times as much."""
_OVERHEAD_BYTES: Final = 256
"""What the objects around a line take."""


class EncodedRow(NamedTuple):
    """Where the row belongs, and the line."""

    model: str
    version: str
    timestamp_us: int
    line: bytes
    size_bytes: int

    @classmethod
    def of(cls, offer: Offer, headers: tuple[str, ...]) -> Self:
        """Return the line of an offer; raises TypeError for text that is no UTF-8."""
        record = offer.record(time.time_ns() - monotonic(), headers)
        line = line_of(record)
        return cls(record.model, record.version, record.timestamp_us, line, len(line) + _OVERHEAD_BYTES)

    def record(self, epoch_ns: int, headers: tuple[str, ...]) -> Self:  # noqa: ARG002 - as an offer's
        """Return itself: what is to be written is known."""
        return self
