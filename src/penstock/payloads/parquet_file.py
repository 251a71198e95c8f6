"""Parquet files of recorded payloads: framed batches of Arrow's while they are written, converted once."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.payloads.form import Form
from penstock.payloads.frames import framed, frames, whole_frames
from penstock.payloads.layout import OPEN, PARQUET
from penstock.payloads.parquet_batch import SCHEMA

_GROUP_BYTES: Final = 16 * 1024 * 1024
"""Of rows in memory that make up a row group."""
_OWN: Final = {"request_id", "trace_id"}
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


def batches_of(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file that is sealed, or being written. Raises `OSError`, and ValueError for what is damaged."""
    if path.name.endswith(OPEN):
        with path.open("rb") as file:
            yield from _appended(file)[1]
    else:
        with pq.ParquetFile(path) as parquet:
            yield from parquet.iter_batches(batch_size=1024)


def convert(hidden: Path, path: Path) -> None:
    """Write what was appended to one file as Parquet into another, which appears whole or not at all; the first is gone then."""
    draft = path.with_name(f".{path.name}.draft")
    os.close(os.open(draft, _NEW, 0o600))
    try:
        with hidden.open("rb") as file:
            _write(file, draft)
        _sync(draft)
    except BaseException:
        draft.unlink()
        raise
    draft.replace(path)
    hidden.unlink()


def _write(file: BinaryIO, path: Path) -> None:
    schema, batches = _appended(file)
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, use_dictionary=_DICTIONARIES) as writer:
        for group in _groups(batches):
            writer.write_table(pa.Table.from_batches(group))


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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


TABLES: Final = Form(PARQUET, head(), whole_frames, convert)
