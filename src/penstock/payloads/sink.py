"""Where records go."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from penstock.domain.records import PayloadRecord


class SinkFailed(Exception):
    """A sink could not do all that it was asked; whatever it does not name as lost is written."""

    def __init__(self, message: str, lost: Mapping[str, int]) -> None:
        super().__init__(message)
        self.lost = lost
        """Rows of this call that are not written and never will be, by reason."""


class Sink(Protocol):
    """Writes records. Called on the writer's thread only, and may block."""

    name: str
    """The label of metrics."""

    def write(self, records: Sequence[PayloadRecord]) -> None:
        """Write records so that a crash of the process does not lose them; raises `SinkFailed` for those that it could not."""

    def flush(self) -> None:
        """Do what is due between writes; called every `flush_s`, also if nothing was written. Raises `SinkFailed`."""

    def close(self) -> None:
        """Finish what is open; nothing is written afterwards. Raises `SinkFailed`."""
