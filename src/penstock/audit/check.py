"""Whether the audit log is as it was written."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from penstock.audit.entry import GENESIS, Entry, entry_of


class Fault(NamedTuple):
    """The first line that is not as it was written, or does not follow the one before."""

    path: Path
    line: int
    """Counts from 1."""
    why: str


class Verdict(NamedTuple):
    """What a check has found."""

    first: Entry | None = None
    """None if there is no entry."""
    last: Entry | None = None
    fault: Fault | None = None


def checked(paths: Iterable[Path]) -> Verdict:
    """Return what is wrong with the files, which hold one chain in this order; stops at the first fault. Raises `OSError`.

    Where the chain begins later than with the first entry, nothing can be told of what was before.
    """
    first: Entry | None = None
    last: Entry | None = None
    for path, number, line in _lines(paths):
        try:
            entry = _followed(line, last)
        except ValueError as error:
            return Verdict(first, last, Fault(path, number, str(error)))
        first, last = first or entry, entry
    return Verdict(first, last)


def _lines(paths: Iterable[Path]) -> Iterator[tuple[Path, int, bytes]]:
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield path, number, line


def _followed(line: bytes, last: Entry | None) -> Entry:
    """Return the entry of a line that follows the last one; raises `ValueError` if it does not."""
    if not line.endswith(b"\n"):
        raise ValueError("it was cut off")
    entry = entry_of(line[:-1])
    if last is None:
        if entry.seq == 1 and entry.previous != GENESIS:
            raise ValueError("it says that it is the first entry, and names one before")
    elif entry.seq != last.seq + 1:
        raise ValueError(f"it is entry {entry.seq} and follows entry {last.seq}: lines were left out, added or moved")
    elif entry.previous != last.hash:
        raise ValueError(f"it does not follow from entry {last.seq}: that one was put in the place of another")
    return entry
