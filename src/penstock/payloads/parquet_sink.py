"""Parquet in files by model, version and hour; comes with the extra `parquet`."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from penstock.domain.clock import Clock, monotonic
from penstock.domain.records import PayloadRecord
from penstock.payloads.file_set import FileSet
from penstock.payloads.layout import Partition
from penstock.payloads.leftovers import Heard
from penstock.payloads.options import PayloadOptions
from penstock.payloads.parquet_batch import batch_of
from penstock.payloads.parquet_file import TABLES, frame_of
from penstock.payloads.sink import Tally

_log = logging.getLogger(__name__)


class ParquetSink:
    """Appends each block as a batch; a file becomes Parquet when it is sealed. See `Sink`. What was written outlives the process."""

    name = "parquet"
    backlog = None

    def __init__(
        self,
        root: Path,
        options: PayloadOptions,
        clock: Clock = monotonic,
        *,
        heard: Heard = lambda *_: None,
        listed: Path | None = None,
    ) -> None:
        """`heard` is told of each file that is sealed, or gone; deletions are listed in `listed`, else in `root`."""
        self._files = FileSet(root, TABLES, options, clock, heard=heard, listed=listed)
        self.flush = self._files.flush
        self.close = self._files.close

    def write(self, records: Sequence[PayloadRecord], tally: Tally) -> None:
        """Write records, those of each file at once; raises `SinkFailed` for what a file, or Arrow, did not take."""
        parts = ((place, frame_of(batch), batch.num_rows) for place, batch in self._batches(records, tally.lost))
        self._files.write(parts, tally, "a record cannot be written as Parquet")

    def _batches(self, records: Sequence[PayloadRecord], lost: Counter[str]) -> Iterator[tuple[Partition, pa.RecordBatch]]:
        parts: dict[Partition, list[PayloadRecord]] = {}
        for record in records:
            parts.setdefault(Partition.of(record), []).append(record)
        for partition, part in parts.items():
            try:
                yield partition, batch_of(part)
            except Exception:  # one record that cannot be written must not cost the others theirs
                yield from ((partition, batch) for batch in _one_by_one(part, lost))


def _one_by_one(records: Sequence[PayloadRecord], lost: Counter[str]) -> Iterator[pa.RecordBatch]:
    for record in records:
        try:
            yield batch_of([record])
        except Exception:
            lost["encode"] += 1
            _log.exception("a record of model %s cannot be written as Parquet", record.model)
