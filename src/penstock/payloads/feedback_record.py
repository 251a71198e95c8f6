"""What was said of one earlier prediction, as it is recorded: beside the payloads, one row for each word."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from penstock.domain.tensor import Tensor
from penstock.payloads.json_cells import cells_of

SCHEMA_VERSION: Final = 1
"""Grows when a column changes its meaning; a column that is added leaves it."""
FOLDER: Final = "feedback"
"""Below the directory of the payloads."""
FOLDERS: Final = "model=*/date=*"
"""What lies between the directory and its files."""
_US_PER_S: Final = 1_000_000
_S_PER_DAY: Final = 86_400


class FeedbackRecord(NamedTuple):
    """The columns of a recorded row, in their order."""

    request_id: str
    timestamp_us: int
    """When the word came, in microseconds since the epoch, UTC."""
    model: str
    version: str
    """Who answered; "" where the prediction is not remembered any more."""
    route: str
    """The arm; likewise."""
    outcome: str
    """What became of the word: joined, late, duplicate or unknown."""
    reward: float | None
    truth: Sequence[Tensor]
    """Redacted by the rules for the outputs of these names."""


class FeedbackPartition(NamedTuple):
    """What the rows of one file have in common; those of all versions lie together: who is asked for the truth may not know the version."""

    model: str
    day: int
    """Days since the epoch, UTC."""

    @classmethod
    def of(cls, record: FeedbackRecord) -> "FeedbackPartition":
        """Return where a record belongs."""
        return cls(record.model, record.timestamp_us // _US_PER_S // _S_PER_DAY)

    def folder(self, root: Path) -> Path:
        """Return the directory, in the form that query engines know as hive partitions."""
        return root / f"model={self.model}" / f"date={datetime.fromtimestamp(self.day * _S_PER_DAY, UTC):%Y-%m-%d}"


def feedback_lines(records: Sequence[FeedbackRecord]) -> list[bytes]:
    """Return the lines, their ends included; raises TypeError for text that is no UTF-8."""
    return list(map(_line, records, cells_of([record.truth for record in records])))


def _line(record: FeedbackRecord, truth: str) -> bytes:
    seconds, micros = divmod(record.timestamp_us, _US_PER_S)
    fields = {"schema_version": SCHEMA_VERSION, **record._asdict()}
    fields["timestamp"] = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"
    del fields["timestamp_us"], fields["truth"]
    return b'%b,"truth":[%b]}\n' % (orjson.dumps(fields)[:-1], truth.encode())
