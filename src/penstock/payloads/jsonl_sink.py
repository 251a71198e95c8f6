"""Lines of JSON in files by model, version and hour."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from penstock.domain.clock import Clock, monotonic
from penstock.payloads.encoding import encoded
from penstock.payloads.file_set import FileSet
from penstock.payloads.jsonl_file import LINES
from penstock.payloads.leftovers import Heard
from penstock.payloads.options import PayloadOptions
from penstock.payloads.row_kind import PAYLOADS, Place, RowKind
from penstock.payloads.sink import Tally


class JsonLinesSink:
    """Writes each record as a line; see `Sink`. Nothing is buffered: what was written outlives the process."""

    name = "jsonl"
    backlog = None

    def __init__(
        self,
        root: Path,
        options: PayloadOptions,
        clock: Clock = monotonic,
        *,
        heard: Heard = lambda *_: None,
        listed: Path | None = None,
        kind: RowKind = PAYLOADS,
    ) -> None:
        """`heard` is told of each file that is sealed, or gone; deletions are listed in `listed`, else in `root`."""
        self._kind = kind
        self._files = FileSet(root, LINES, options, clock, heard=heard, listed=listed)
        self.flush = self._files.flush
        self.close = self._files.close

    def write(self, records: Sequence[Any], tally: Tally) -> None:
        """Write records, those of each file at once; raises `SinkFailed` for what a file, or JSON, did not take."""
        parts: dict[Place, list[Any]] = {}
        for place, part in groupby(records, self._kind.place):
            parts.setdefault(place, []).extend(part)
        lines = {place: encoded(part, self._kind.lines, tally.lost) for place, part in parts.items()}
        written = [(place, b"".join(there), len(there)) for place, there in lines.items() if there]
        self._files.write(written, tally, "a record cannot be written as JSON")
