"""How many rows a deletion takes, and out of how many files."""

from pathlib import Path
from typing import NamedTuple

from penstock.payloads.layout import sealed_path


class Deleted(NamedTuple):
    """What a deletion has done."""

    rows: int
    """Those of feedback on the predictions too."""
    files: int
    """Those that had such rows."""
    waiting: int
    """Rows in files that are being written, or that a killed writer has left: they go when the file is finished. And rows that a living
    process holds for a sink elsewhere: it takes them out within `payloads.flush_s`."""
    foreign: int
    """Files that are damaged, or of another form, which were not looked into."""


class DeletionCount:
    """Rows by file: each counts once, also if its file is finished while the deletion looks, by a writer who knows of it or not yet."""

    def __init__(self) -> None:
        self._gone: dict[Path, int] = {}
        self._waiting: dict[Path, int] = {}
        self._damaged: set[Path] = set()

    def wait(self, path: Path, rows: int) -> None:
        """Note how many rows go of a file that somebody else writes or holds, unless they have gone already."""
        if rows:
            self._waiting[sealed_path(path)] = rows

    def take(self, path: Path, rows: int) -> None:
        """Note how many rows were taken out of a finished file; its writer has not done so then."""
        if rows:
            self._waiting.pop(path, None)
            self._gone[path] = rows

    def pass_over(self, path: Path) -> None:
        """Note a file that cannot be read."""
        self._damaged.add(sealed_path(path))

    def told(self, foreign: int) -> Deleted:
        """Return it all, with so many files of another form."""
        return Deleted(sum(self._gone.values()), len(self._gone), sum(self._waiting.values()), foreign + len(self._damaged))
