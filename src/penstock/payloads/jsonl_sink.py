"""Lines of JSON in files by model, version and hour."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from penstock.domain.clock import Clock, monotonic
from penstock.payloads.file_set import FileSet
from penstock.payloads.form import Form
from penstock.payloads.layout import JSON_LINES
from penstock.payloads.leftovers import Heard, whole_lines
from penstock.payloads.options import PayloadOptions
from penstock.payloads.rewriting import rewrite
from penstock.payloads.row_kind import PAYLOADS, Place, RowKind
from penstock.payloads.sink import Tally
from penstock.payloads.tombstones import Tombstones

_log = logging.getLogger(__name__)


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
        self._files = FileSet(root, LINES, options, clock, heard=heard, folders=kind.folders, listed=listed)
        self.flush = self._files.flush
        self.close = self._files.close

    def write(self, records: Sequence[Any], tally: Tally) -> None:
        """Write records, those of each file at once; raises `SinkFailed` for what a file, or JSON, did not take."""
        parts = [(place, b"".join(lines), len(lines)) for place, lines in self._lines(records, tally.lost).items()]
        self._files.write(parts, tally, "a record cannot be written as JSON")

    def _lines(self, records: Sequence[Any], lost: Counter[str]) -> dict[Place, list[bytes]]:
        lines: dict[Place, list[bytes]] = {}
        for record in records:
            try:
                lines.setdefault(self._kind.place(record), []).append(self._kind.line(record))
            except Exception:  # one record that cannot be written must not cost the others theirs
                lost["encode"] += 1
                _log.exception("a record of model %s cannot be written as JSON", record.model)
        return {partition: there for partition, there in lines.items() if there}


def _show(hidden: Path, path: Path, tombstones: Tombstones) -> int:
    gone = rewrite(hidden, tombstones.takes_line) if tombstones else 0
    if hidden.exists():
        hidden.replace(path)
    return gone


LINES: Final = Form(JSON_LINES, b"", whole_lines, _show)
