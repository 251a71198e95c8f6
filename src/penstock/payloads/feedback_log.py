"""Writes what is said of predictions beside the payloads, on a thread of its own.

Nothing that was taken is dropped for want of room: whoever brings a word is refused while the queue is full, and may come again.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from penstock.domain.errors import Overloaded
from penstock.payloads.feedback_record import FOLDER, FeedbackRecord
from penstock.payloads.jsonl_sink import JsonLinesSink
from penstock.payloads.options import PayloadOptions
from penstock.payloads.row_kind import FEEDBACK
from penstock.payloads.sink import SinkFailed, Tally

_log = logging.getLogger(__name__)
_BLOCK: Final = 256
"""Rows that are encoded and written together."""
_MOST_ROWS: Final = 65_536
_OVERHEAD_BYTES: Final = 1024
"""What a row takes beside the elements of its tensors."""
_LAST_ROWS_S: Final = 5.0


class FeedbackLog:
    """Takes rows on the event loop; `_work` and what it calls run on the thread."""

    def __init__(self, options: PayloadOptions, state_dir: Path) -> None:
        self.written = 0
        """Rows that are in files; the writer's."""
        self.dropped: Mapping[str, int] = {}
        """Rows that could not be written, by reason; the writer makes a new one each time."""
        self._sink = JsonLinesSink(options.directory(state_dir) / FOLDER, options, kind=FEEDBACK)
        self._flush_s = options.flush_s
        self._max_bytes = options.max_bytes
        self._rows: deque[FeedbackRecord] = deque()
        self._taken_bytes = self._given_bytes = 0
        self._wake = threading.Event()
        self._started = self._wanted = self._stopping = False
        self._writer: threading.Thread | None = None

    def want(self) -> None:
        """Expect words: what an earlier process has left is finished, and what is too old removed, before the first of them comes."""
        self._wanted = True
        if self._started:
            self._begin()

    def start(self) -> None:
        """Begin to write as soon as words are expected."""
        self._started = True
        if self._wanted:
            self._begin()

    def check_room(self) -> None:
        """Raise `Overloaded` while the writer is behind."""
        if self._taken_bytes - self._given_bytes >= self._max_bytes or len(self._rows) >= _MOST_ROWS:
            raise Overloaded("feedback comes faster than it is written; what was not taken may be sent again in a second", retry_after_s=1)

    def put(self, record: FeedbackRecord) -> None:
        """Have a row written soon."""
        self._taken_bytes += _size_of(record)
        self._rows.append(record)
        self._begin()
        if len(self._rows) >= _BLOCK and not self._wake.is_set():
            self._wake.set()

    def close(self, within_s: float = _LAST_ROWS_S) -> None:
        """Write what waits and finish the files; what takes longer is given up, and told in the log. Blocks."""
        self._stopping = True
        self._wake.set()
        if self._writer is not None:
            self._writer.join(within_s)
            if self._writer.is_alive():
                _log.error("%d rows of feedback could not be written in time", len(self._rows))

    def _begin(self) -> None:
        if self._writer is None:
            self._writer = threading.Thread(target=self._work, name="penstock-feedback", daemon=True)
            self._writer.start()

    def _work(self) -> None:
        while not self._stopping:
            self._wake.wait(self._flush_s)
            self._wake.clear()
            self._turn()
        self._turn()
        self._ask(self._sink.close)

    def _turn(self) -> None:
        while self._rows:
            records = [self._rows.popleft() for _ in range(min(_BLOCK, len(self._rows)))]
            self._write(records)
            self._given_bytes += sum(map(_size_of, records))
        self._ask(self._sink.flush)

    def _write(self, records: list[FeedbackRecord]) -> None:
        tally = Tally()
        self._ask(lambda: self._sink.write(records, tally))
        tally.lost["fault"] += len(records) - tally.written - tally.lost.total()
        self.dropped = Counter(self.dropped) + tally.lost
        self.written += tally.written

    def _ask(self, act: Callable[[], None]) -> None:
        """Have the sink do something; what goes wrong is told."""
        try:
            act()
        except SinkFailed as failure:
            _log.warning("feedback is not recorded: %s; it counts all the same, and what is lost is counted", failure)
        except Exception:
            _log.exception("feedback cannot be recorded for a reason of ours")


def _size_of(record: FeedbackRecord) -> int:
    return _OVERHEAD_BYTES + sum([tensor.size_bytes for tensor in record.truth])
