"""Parquet files of recorded payloads: framed batches of Arrow's while they are written, converted once."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.payloads.form import Form
from penstock.payloads.frames import framed, frames, whole_frames
from penstock.payloads.layout import OPEN, PARQUET, named_in
from penstock.payloads.owner import keep_owner
from penstock.payloads.parquet_batch import SCHEMA
from penstock.payloads.rewriting import Ready, draft_of, replace, seal_draft
from penstock.payloads.tombstones import Tombstones, timestamp

_GROUP_BYTES: Final = 16 * 1024 * 1024
"""Of rows in memory that make up a row group."""
_ROWS: Final = 1024
_TIME: Final = "timestamp"
_SUBJECT: Final = "subject"
OF_REQUESTS: Final = ["request_id", _TIME, _SUBJECT]
"""What tells whose rows are whose."""
_OWN: Final = {"request_id", "trace_id", _SUBJECT}
"""Texts that each row has its own of."""
_NAMES: Final = [field.name for field in SCHEMA if pa.types.is_string(field.type) and field.name not in _OWN]
_DICTIONARIES: Final = [*_NAMES, *(f"{side}.list.element.{name}" for side in ("inputs", "outputs") for name in ("name", "datatype"))]
"""Columns with few values. No numbers are among them: they seldom repeat."""
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW


def head() -> bytes:
    """Return what a file begins with while it is written: its columns, which a later release may have changed."""
    return framed(memoryview(SCHEMA.serialize()))


def frame_of(batch: pa.RecordBatch) -> bytes:
    """Return a batch as it is appended."""
    return framed(memoryview(batch.serialize()))


def batches_of(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file that is sealed, with these columns at least, or being written.

    Raises `OSError`, and ValueError for what is damaged.
    """
    if path.name.endswith(OPEN):
        with path.open("rb") as file:
            yield from _appended(file)[1]
    else:
        with pq.ParquetFile(path) as parquet:
            yield from parquet.iter_batches(batch_size=_ROWS, columns=columns)


def convert(hidden: Path, path: Path, tombstones: Tombstones) -> Ready:
    """Return what was appended to one file as Parquet in another, which is to have the name `path`, without the rows that are to go."""
    with hidden.open("rb") as file:
        return _written(*_appended(file), path, seal_draft(path), tombstones)


def take_out(path: Path, tombstones: Tombstones, *, dry_run: bool = False) -> int:
    """Take rows out of a sealed file, which keeps its owner and its age; returns how many. A file without any other is removed.

    Raises `OSError`, and ValueError for what is damaged; the file is as it was then.
    """
    with pq.ParquetFile(path) as parquet:
        gone = sum(going(batch, path, tombstones).count(True) for batch in parquet.iter_batches(columns=[_TIME, _SUBJECT]))
        if gone and not dry_run:
            rows, draft, like = parquet.iter_batches(batch_size=_ROWS), draft_of(path), path.stat()
            replace(path, _written(parquet.schema_arrow, rows, path, draft, tombstones, like))
    return gone


def _written(  # noqa: PLR0917
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    path: Path,
    draft: Path,
    tombstones: Tombstones,
    like: os.stat_result | None = None,
) -> Ready:
    """Have a draft hold the rows of batches that are not to go, for a file of that path."""
    os.close(os.open(draft, _NEW, 0o600))
    before = after = 0
    try:
        with pq.ParquetWriter(draft, schema, compression="zstd", compression_level=1, use_dictionary=_DICTIONARIES) as writer:
            for group in _groups(batches):
                table = pa.Table.from_batches([_staying(batch, path, tombstones) for batch in group])
                before += sum(batch.num_rows for batch in group)
                after += table.num_rows
                writer.write_table(table)
        _sync(draft, like)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if not after:
        draft.unlink(missing_ok=True)
    return Ready(draft if after else None, before - after)


def _staying(batch: pa.RecordBatch, path: Path, tombstones: Tombstones) -> pa.RecordBatch:
    gone = going(batch, path, tombstones) if tombstones else []
    return batch.filter(pa.array([not goes for goes in gone])) if any(gone) else batch


def going(batch: pa.RecordBatch, path: Path, tombstones: Tombstones) -> list[bool]:
    """Tell of each row whether it is to go."""
    model, version = named_in(path)
    rows = zip(batch.column(_SUBJECT).to_pylist(), batch.column(_TIME).to_pylist(), strict=True)
    return [
        not tombstones.leaves(subject.encode())
        and tombstones.takes({"model": model, "version": version, "subject": subject, "timestamp": timestamp(at)})
        for subject, at in rows
    ]


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        group.append(batch)
        size += batch.nbytes
        if size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _appended(file: BinaryIO) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    pieces = frames(file)
    first = next(pieces, None)  # none: it was looked at before its head was written
    schema = SCHEMA if first is None else pa.ipc.read_schema(pa.py_buffer(first))
    return schema, (pa.ipc.read_record_batch(pa.py_buffer(piece), schema) for piece in pieces)


def _sync(path: Path, like: os.stat_result | None) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if like is not None:
            keep_owner(descriptor, like)
            os.utime(descriptor, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


TABLES: Final = Form(PARQUET, head(), whole_frames, convert)
