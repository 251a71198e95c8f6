"""How rows lie in a file: lines of JSON, or Parquet."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from penstock.payloads.rewriting import Ready
from penstock.payloads.tombstones import Tombstones


class Form(NamedTuple):
    """What a set of files has to know of what it writes."""

    suffix: str
    head: bytes
    """What each file begins with while it is written."""
    whole_bytes: Callable[[BinaryIO], int | None]
    """Returns up to where a file that a killed writer has left can be trusted, None if it is not what it should be."""
    ready: Callable[[Path, Path, Tombstones], Ready]
    """Makes of the hidden file, which is synced and stays, what readers are to see, without the rows that are to go: beside the name that
    it will have, or the hidden file itself. May be repeated. Raises `OSError`."""
