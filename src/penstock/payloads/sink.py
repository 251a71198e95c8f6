"""Where records go."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

from penstock.domain.records import PayloadRecord
from penstock.payloads.backlog import Backlog


class SinkFailed(Exception):
    """A sink has lost records; the message says why, the tally how many."""


class Tally:
    """What has become of the records of one block, as far as the sink has come with them."""

    def __init__(self) -> None:
        self.written = 0
        self.lost: Final[Counter[str]] = Counter()
        """By reason."""


class Sink(Protocol):
    """Called on one thread, its writer's, and allowed to block it."""

    @property
    def name(self) -> str:
        """The label of metrics."""

    @property
    def backlog(self) -> Backlog | None:
        """What is counted of rows that wait for a destination elsewhere; None where a row is written once `write` returns."""

    def write(self, records: Sequence[PayloadRecord], tally: Tally) -> None:
        """Write records so that a crash of the process does not lose them, and count each as soon as its fate is known.

        Raises `SinkFailed` where some are lost. After any other error, what is not in the tally counts as lost.
        """

    def flush(self) -> None:
        """Do what is due by now, such as finishing files that are old enough. Called about every `flush_s`."""

    def close(self) -> None:
        """Finish everything."""
