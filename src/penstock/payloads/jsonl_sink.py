"""Lines of JSON in files by model, version and hour."""

import errno
import logging
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from penstock.domain.clock import NS_PER_S, Clock, monotonic
from penstock.payloads.layout import new_name
from penstock.payloads.leftovers import repair
from penstock.payloads.open_file import OpenFile, make_private
from penstock.payloads.options import PayloadOptions
from penstock.payloads.retention import forget
from penstock.payloads.row_form import PAYLOADS, Place, RowForm
from penstock.payloads.sink import SinkFailed

_log = logging.getLogger(__name__)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RETENTION_NS: Final = 60 * NS_PER_S
_ABANDONED: Final = 4
"""A file that nobody has written to for so many times its longest age belongs to nobody."""


class JsonLinesSink:
    """Writes each record as a line; see `Sink`. Nothing is buffered: what was written outlives the process."""

    name = "jsonl"

    def __init__(
        self, root: Path, options: PayloadOptions, clock: Clock = monotonic, *, check: bool = False, form: RowForm = PAYLOADS
    ) -> None:
        """With `check`, the directory is made and tried at once; raises `OSError` if it cannot be written."""
        self._root = root
        self._form = form
        self._options = options
        self._clock = clock
        self._open: dict[tuple[str, str], tuple[Place, OpenFile]] = {}
        self._repaired = False
        self._forgotten_ns: int | None = None
        if check:
            make_private(root)
            with tempfile.TemporaryFile(dir=root):
                pass

    def write(self, records: Sequence[Any]) -> None:
        """Write records, those of each file at once; raises `SinkFailed` for what a file, or JSON, did not take."""
        lost: Counter[str] = Counter()
        reasons: set[str] = set()
        for partition, lines in self._lines(records, lost).items():
            try:
                self._append(partition, lines)
            except OSError as error:
                lost["disk_full" if error.errno in _FULL else "io"] += len(lines)
                reasons.add(str(error.strerror))
        if lost:
            raise SinkFailed(f"in {self._root}: {', '.join(sorted(reasons)) or 'a record cannot be written as JSON'}", lost)

    def flush(self) -> None:
        """Repair what an earlier process has left, seal what is old enough, remove what is too old."""
        if not self._repaired:
            repair(self._root, _ABANDONED * self._options.rotate_s, self._form.folders)
            self._repaired = True
        now_ns = self._clock()
        for key, (_, file) in list(self._open.items()):
            if now_ns - file.begun_ns >= self._options.rotate_s * NS_PER_S:
                self._seal(key)
        if self._forgotten_ns is None or now_ns - self._forgotten_ns >= _RETENTION_NS:
            self._forgotten_ns = now_ns
            forget(self._root, self._options.keep_days, self._options.keep_bytes, self._form.folders)

    def close(self) -> None:
        """Seal every file."""
        for key in list(self._open):
            self._seal(key)

    def _lines(self, records: Sequence[Any], lost: Counter[str]) -> dict[Place, list[bytes]]:
        lines: dict[Place, list[bytes]] = {}
        for record in records:
            try:
                lines.setdefault(self._form.place(record), []).append(self._form.line(record))
            except Exception:  # one record that cannot be written must not cost the others theirs
                lost["encode"] += 1
                _log.exception("a record of model %s cannot be written as JSON", record.model)
        return {partition: there for partition, there in lines.items() if there}

    def _append(self, partition: Place, lines: list[bytes]) -> None:
        file = self._file(partition)
        file.append(b"".join(lines))
        if file.size_bytes >= self._options.rotate_bytes:
            self._seal((partition.model, partition.version))

    def _file(self, partition: Place) -> OpenFile:
        """Return the file of a partition; a new one where it has been removed, and for a new hour."""
        key = partition.model, partition.version
        there = self._open.get(key)
        if there is not None and there[1].is_lost:
            del self._open[key]
            there[1].abandon()
            _log.warning("%s was removed or torn while it was written; a new file is begun", there[1].path)
        elif there is not None and there[0] == partition:
            return there[1]
        elif there is not None:
            self._seal(key)
        path = partition.folder(self._root) / new_name()
        file = OpenFile.create(path, self._clock())
        self._open[key] = partition, file
        return file

    def _seal(self, key: tuple[str, str]) -> None:
        _, file = self._open.pop(key)
        try:
            file.seal()
        except OSError as error:
            _log.error("%s cannot be finished: %s; it stays hidden", file.path, error.strerror)
