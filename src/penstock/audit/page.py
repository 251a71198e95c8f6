"""Reads the audit log, the newest entries first, a page at a time."""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from penstock.audit.entry import Entry, entry_of
from penstock.audit.files import AuditFiles, lines_backwards


class Asked(NamedTuple):
    """What somebody wants to see."""

    limit: int
    before: int | None = None
    """Only entries with a smaller number: the next page."""
    model: str | None = None
    who: str | None = None

    def fits(self, entry: Entry) -> bool:
        """Tell whether an entry is among what is asked for."""
        older = self.before is None or entry.seq < self.before
        return older and self.model in (None, entry.model) and self.who in (None, entry.who)


class Page(NamedTuple):
    """Some entries, the newest first."""

    entries: list[Entry]
    next: int | None
    """What `before` of the next page is, None if there is none."""


def page_of(files: AuditFiles, asked: Asked) -> Page:
    """Return the newest entries that are asked for; lines that are damaged are passed over. Raises `OSError`."""
    found = list(islice(filter(asked.fits, _newest_first(files)), asked.limit + 1))
    entries = found[: asked.limit]
    return Page(entries, entries[-1].seq if len(found) > len(entries) else None)


def _newest_first(files: AuditFiles) -> Iterator[Entry]:
    """Yield all entries once, although the current file may become a full one meanwhile."""
    read: set[int] = set()
    for path in _paths(files):
        with suppress(FileNotFoundError), path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode not in read:
                read.add(inode)
                yield from _entries(file.fileno())


def _paths(files: AuditFiles) -> Iterator[Path]:
    yield files.current
    yield from reversed(files.full())  # asked for once the current one was read: what was renamed before that is among them


def _entries(descriptor: int) -> Iterator[Entry]:
    for line in lines_backwards(descriptor):
        with suppress(ValueError):
            yield entry_of(line)
