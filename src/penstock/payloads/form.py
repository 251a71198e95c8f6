"""How rows lie in a file: lines of JSON, or Parquet."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from penstock.payloads.tombstones import Tombstones


class Form(NamedTuple):
    """What a set of files has to know of what it writes."""

    suffix: str
    head: bytes
    """What each file begins with while it is written."""
    whole_bytes: Callable[[BinaryIO], int | None]
    """Returns up to where a file that a killed writer has left can be trusted, None if it is not what it should be."""
    show: Callable[[Path, Path, Tombstones], int]
    """Turns the hidden file, which is synced, into the one that readers see, at once, without the rows that are to go, and returns how many
    these were; where no others are left there is no file. May be repeated. Raises `OSError`."""
