"""How rows of one kind are filed: what lies in one file, where that is, and what a line says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from penstock.payloads.encoding import Lines
from penstock.payloads.feedback_record import FOLDERS as FEEDBACK_FOLDERS
from penstock.payloads.feedback_record import FeedbackPartition, feedback_lines
from penstock.payloads.json_rows import lines_of
from penstock.payloads.layout import FOLDERS, Partition


class Place(Protocol):
    """What the rows of one file have in common; equal for equal files."""

    def folder(self, root: Path) -> Path:
        """Return the directory of the file."""

    def __hash__(self) -> int: ...


class RowKind(NamedTuple):
    """One kind of rows."""

    folders: str
    """The pattern of what lies between the directory and the files."""
    place: Callable[[Any], Place]
    lines: Lines


PAYLOADS: Final = RowKind(FOLDERS, Partition.of, lines_of)
FEEDBACK: Final = RowKind(FEEDBACK_FOLDERS, FeedbackPartition.of, feedback_lines)
