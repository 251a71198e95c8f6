"""Writes what is said of predictions beside the payloads, by a writer of its own.

Nothing that was taken is dropped for want of room: whoever brings a word is refused while the queue is full, and may come again.
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from penstock.domain.errors import Overloaded
from penstock.payloads.feedback_record import FOLDER, FeedbackRecord
from penstock.payloads.intake import Intake
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.options import PayloadOptions
from penstock.payloads.row_kind import FEEDBACK
from penstock.payloads.writer import Writer

_MOST_ROWS: Final = 65_536
_OVERHEAD_BYTES: Final = 1024
"""What a row takes beside the elements of its tensors."""
_LAST_ROWS_S: Final = 5.0


class _Said(NamedTuple):
    """A row on its way to the writer."""

    row: FeedbackRecord
    size_bytes: int

    def record(self, _epoch_ns: int, _headers: tuple[str, ...]) -> FeedbackRecord:
        """Return the row."""
        return self.row


class FeedbackLog:
    """Takes rows on the event loop; the writer's thread writes them."""

    def __init__(self, options: PayloadOptions, state_dir: Path) -> None:
        root = options.directory(state_dir) / FOLDER
        self._max_bytes = options.max_bytes
        self._writer: Final = Writer("feedback", partial(JsonLinesSink, root, options, kind=FEEDBACK), options, Intake(sys.maxsize))

    @property
    def written(self) -> int:
        """Rows that are in files."""
        return self._writer.written

    @property
    def dropped(self) -> Mapping[str, int]:
        """Rows that could not be written, by reason."""
        return self._writer.dropped

    def check_room(self) -> None:
        """Raise `Overloaded` while the writer is behind."""
        waiting = self._writer.intake
        if waiting.size_bytes >= self._max_bytes or len(waiting) >= _MOST_ROWS:
            self._writer.hurry()
            raise Overloaded("feedback comes faster than it is written; what was not taken may be sent again in a second", retry_after_s=1)

    def put(self, record: FeedbackRecord) -> None:
        """Have a row written soon."""
        if self._writer.intake.put(_Said(record, _OVERHEAD_BYTES + sum([tensor.size_bytes for tensor in record.truth]))):
            self._writer.hurry()
        self._writer.start()

    def close(self, within_s: float = _LAST_ROWS_S) -> None:
        """Write what waits and finish the files; what takes longer is given up, counted, and told in the log. Blocks."""
        self._writer.stop()
        self._writer.join(within_s)
