"""Where recorded payloads lie, and what their files are called."""

import os
import re
import socket
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from penstock.domain.records import PayloadRecord

OPEN: Final = ".inprogress"
"""The end of the name of a file that is being written, or that its writer has left; it begins with a dot."""
BAD: Final = ".quarantined"
"""The end of the name of a file that is not what it should be; it begins with a dot too."""
JSON_LINES: Final = ".jsonl"
PARQUET: Final = ".parquet"
SUFFIXES: Final = (JSON_LINES, PARQUET)
"""The ends of the names of files that readers see."""
FOLDERS: Final = "model=*/version=*/date=*/hour=*"
"""What lies between the directory and its files."""
NO_VERSION: Final = "none"
"""Stands in paths for predictions that no version had a part in."""
_US_PER_HOUR: Final = 3_600_000_000
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_]")
_sequence: Final = count(1)


class Partition(NamedTuple):
    """What the rows of one file have in common."""

    model: str
    version: str
    hour: int
    """Hours since the epoch, UTC."""

    @staticmethod
    def of(record: PayloadRecord) -> "Partition":
        """Return where a record belongs; of records that belong together, one and the same."""
        return _partition(record.model, record.version, record.timestamp_us // _US_PER_HOUR)

    def folder(self, root: Path) -> Path:
        """Return the directory, in the form that query engines know as hive partitions."""
        at = datetime.fromtimestamp(self.hour * 3600, UTC)
        return root / f"model={self.model}" / f"version={self.version}" / f"date={at:%Y-%m-%d}" / f"hour={at:%H}"


@lru_cache(100)  # versions and hours come and go
def _partition(model: str, version: str, hour: int) -> Partition:
    return Partition(model, version or NO_VERSION, hour)


def named_in(path: Path) -> tuple[str, str]:
    """Return the model and the version in the names of a file's folders."""
    model, version = (part.partition("=")[2] for part in path.parts[-5:-3])
    return model, version


def host() -> str:
    """Return this machine's name as it stands in the names of files."""
    return _UNSAFE.sub("_", socket.gethostname()) or "host"


def new_name(suffix: str) -> str:
    """Return the name that a file begun now will have once it is sealed: no other file of this machine has it."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{host()}-{os.getpid()}-{next(_sequence):06d}{suffix}"


def open_path(path: Path) -> Path:
    """Return the path of a file while it is written."""
    return path.with_name(f".{path.name}{OPEN}")


def sealed_path(path: Path) -> Path:
    """Return the path that a file which is being written will have."""
    return path.with_name(path.name.removeprefix(".").removesuffix(OPEN))


def bad_path(path: Path) -> Path:
    """Return where a file goes that cannot be trusted."""
    return path.with_name(f".{path.name.removeprefix('.').removesuffix(OPEN)}{BAD}")


def writer_host(path: Path) -> str:
    """Return the machine in a file's name."""
    parts = path.name.split("-")
    return parts[1] if len(parts) > 1 else ""
