"""The files that one sink writes: one for each model, version and hour, sealed by size and age."""

import errno
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from penstock.domain.clock import NS_PER_S, Clock, monotonic
from penstock.payloads.form import Form
from penstock.payloads.layout import new_name
from penstock.payloads.leftovers import Heard
from penstock.payloads.open_file import OpenFile, make_private
from penstock.payloads.options import PayloadOptions
from penstock.payloads.row_kind import Place
from penstock.payloads.sink import SinkFailed, Tally

_log = logging.getLogger(__name__)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FileSet:
    """Appends to files and seals them. Nothing is buffered: what was appended outlives the process. Blocks."""

    def __init__(
        self,
        root: Path,
        form: Form,
        options: PayloadOptions,
        clock: Clock = monotonic,
        *,
        heard: Heard = lambda *_: None,
        listed: Path | None = None,
    ) -> None:
        """`heard` is told of each file that is sealed, or is not; deletions are listed in `listed`, else in `root`."""
        self._root = root
        self._form = form
        self._options = options
        self._clock = clock
        self._heard = heard
        self._listed = listed or root
        self._open: dict[Place, OpenFile] = {}

    def write(self, parts: Iterable[tuple[Place, bytes, int]], tally: Tally, spoilt: str) -> None:
        """Append the data of so many rows to the file of each place, and count them.

        Raises `SinkFailed` for what the disk did not take, and, saying `spoilt`, for what the tally already counts as lost by then.
        """
        reasons: set[str] = set()
        for place, data, rows in parts:
            try:
                self._append(place, data, rows)
            except OSError as error:
                tally.lost[loss_of(error)] += rows
                reasons.add(str(error.strerror))
            else:
                tally.written += rows
        if tally.lost:
            raise SinkFailed(f"in {self._root}: {', '.join(sorted(reasons)) or spoilt}")

    def _append(self, place: Place, data: bytes, rows: int) -> None:
        """Write rows, all of them or none; raises `OSError`."""
        file = self._file(place)
        file.append(data, rows)
        if file.size_bytes >= self._options.rotate_bytes:
            self._seal(place)

    def flush(self) -> None:
        """Seal what is old enough."""
        now_ns = self._clock()
        for place, file in list(self._open.items()):
            if now_ns - file.begun_ns >= self._options.rotate_s * NS_PER_S:
                self._seal(place)

    def close(self) -> None:
        """Seal every file."""
        for place in list(self._open):
            self._seal(place)

    def _file(self, place: Place) -> OpenFile:
        """Return the file of a place, a new one where it has been removed."""
        file = self._open.get(place)
        if file is not None and file.is_lost:
            self._give_up(place)
            file = None
        if file is None:
            path = place.folder(self._root) / new_name(self._form.suffix)
            file = self._open[place] = OpenFile.create(path, self._clock(), self._form, self._listed)
        return file

    def _give_up(self, place: Place) -> None:
        file = self._open.pop(place)
        file.abandon()
        self._heard(file.path, file.rows, 0)
        _log.warning("%s was removed or torn while it was written; a new file is begun", file.path)

    def _seal(self, place: Place) -> None:
        """Seal a file; whatever happens, its rows are where they can be found again."""
        file = self._open.pop(place)
        gone = 0
        try:
            gone = file.seal()
        except Exception as error:
            reason = error.strerror if isinstance(error, OSError) else error
            _log.error("%s cannot be finished: %s; it stays hidden until it can be", file.path, reason)
            if file.is_open:
                file.abandon()
        self._heard(file.path, file.rows - gone, gone)


def try_directory(root: Path) -> None:
    """Make a directory and try it; raises `OSError` if it cannot be written."""
    make_private(root)
    with tempfile.TemporaryFile(dir=root):
        pass


def loss_of(error: OSError) -> str:
    """Return why rows are lost that a file did not take."""
    return "disk_full" if error.errno in _FULL else "io"
