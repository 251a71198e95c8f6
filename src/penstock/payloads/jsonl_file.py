"""Files with lines of JSON while they are written, and once they are sealed."""

from pathlib import Path
from typing import BinaryIO, Final

import orjson

from penstock.payloads.form import Form
from penstock.payloads.layout import JSON_LINES
from penstock.payloads.rewriting import Ready, seal_draft, without
from penstock.payloads.tombstones import Tombstones


def whole_lines(file: BinaryIO) -> int | None:
    """Return the bytes of the whole lines that a file begins with, None if one of them is no JSON object."""
    size = 0
    file.seek(0)
    for line in file:
        if not line.endswith(b"\n"):
            break
        if not _is_row(line):
            return None
        size += len(line)
    return size


def _is_row(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _ready(hidden: Path, path: Path, tombstones: Tombstones) -> Ready:
    return without(hidden, seal_draft(path), tombstones.takes_line) if tombstones else Ready(hidden, 0)


LINES: Final = Form(JSON_LINES, b"", whole_lines, _ready)
