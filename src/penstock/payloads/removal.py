"""Rows taken out of files that are finished, of either form."""

from pathlib import Path

from penstock.payloads.layout import PARQUET
from penstock.payloads.reading import tables
from penstock.payloads.rewriting import rewrite
from penstock.payloads.tombstones import Tombstones


def take_out(path: Path, tombstones: Tombstones, *, dry_run: bool = False) -> int:
    """Take the rows that are to go out of a file; returns how many. With `dry_run` they are only counted.

    A file without any other is removed. Raises `UnreadableRow`, `OSError`; the file is as it was then.
    """
    if PARQUET in path.suffixes:
        gone: int = tables().take_out_of_parquet(path, tombstones, dry_run=dry_run)
        return gone
    if not dry_run:
        return rewrite(path, tombstones.takes_line)
    with path.open("rb") as file:
        return sum(map(tombstones.takes_line, file))
