"""Parquet files of recorded payloads as they are read back: the same rows that lines of JSON hold."""

import base64
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.domain.tensor import DATATYPES, Array
from penstock.payloads.layout import NO_VERSION, named_in
from penstock.payloads.parquet_batch import FIELD_OF, RAW, TEXT, VALUES
from penstock.payloads.parquet_file import OF_REQUESTS, batches_of, going, take_out
from penstock.payloads.row import Row, UnreadableRow
from penstock.payloads.tombstones import Tombstones


def rows_in(path: Path) -> int:
    """Return how many rows a sealed file has. Raises `UnreadableRow`, `OSError`."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except ValueError as error:  # pyarrow's own among them
        raise UnreadableRow(f"{path}: {error}") from error


def take_out_of_parquet(path: Path, tombstones: Tombstones, *, dry_run: bool) -> int:
    """Take rows out of a sealed file; returns how many. Raises `UnreadableRow`, `OSError`."""
    try:
        return take_out(path, tombstones, dry_run=dry_run)
    except ValueError as error:  # pyarrow's own among them
        raise UnreadableRow(f"{path}: {error}") from error


def requests_in_parquet(path: Path, tombstones: Tombstones) -> Iterator[tuple[str, str]]:
    """Yield model and request id of the rows of a file that are to go. Raises `UnreadableRow`, `OSError`."""
    model, _ = named_in(path)
    for batch in _batches(path, OF_REQUESTS):
        gone = going(batch, path, tombstones)
        yield from ((model, name) for name, goes in zip(batch.column("request_id").to_pylist(), gone, strict=True) if goes)


def rows_of_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows of a file that is sealed, or being written. Raises `UnreadableRow`, `OSError`."""
    for batch in _batches(path):
        yield from _rows(batch, path)


def last_rows_of_parquet(path: Path, most: int) -> list[Row]:
    """Return the last rows of a file; no others are unpacked. Raises `UnreadableRow`, `OSError`."""
    kept: deque[pa.RecordBatch] = deque()
    for batch in _batches(path):
        kept.append(batch)
        while len(kept) > 1 and sum(each.num_rows for each in kept) - kept[0].num_rows >= most:
            kept.popleft()
    rows = [row for batch in kept for row in _rows(batch, path)]
    return rows[-most:] if most else []


def _batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches_of(path, columns)
    except ValueError as error:  # pyarrow's own among them
        raise UnreadableRow(f"{path}: {error}") from error


def _rows(batch: pa.RecordBatch, path: Path) -> Iterator[Row]:
    model, version = named_in(path)
    named = {"model": model, "version": "" if version == NO_VERSION else version}
    sides = [list(_sides(batch.column(side))) for side in ("inputs", "outputs")]
    plain = batch.drop_columns(["inputs", "outputs"]).to_pylist()
    for row, inputs, outputs in zip(plain, *sides, strict=True):
        at = row["timestamp"].replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        yield row | named | {"timestamp": at, "inputs": inputs, "outputs": outputs, "metadata": dict(row["metadata"])}


def _sides(column: pa.ListArray) -> Iterator[list[Row]]:
    """Yield the cells of each row."""
    cells = column.values
    names, wires, shapes = (cells.field(name).to_pylist() for name in ("name", "datatype", "shape"))
    raw = cells.field(RAW)
    lists = {name: cells.field(name) for name in VALUES if cells.field(name).null_count < len(cells)}
    values = {name: _items(each.values) for name, each in lists.items()}
    offsets = column.offsets.to_pylist()
    for begin, end in pairwise(offsets):
        yield [
            {"name": names[place], "datatype": wires[place], "shape": shapes[place]} | _content(wires[place], place, raw, lists, values)
            for place in range(begin, end)
        ]


def _items(values: pa.Array) -> Array | list[str]:
    items: Array | list[str] = values.to_pylist() if pa.types.is_string(values.type) else values.to_numpy(zero_copy_only=False)
    return items


def _content(wire: str, place: int, raw: pa.Array, lists: dict[str, pa.ListArray], values: dict[str, Any]) -> Row:
    """Return the elements as JSON has them: a list, or base64 of what a list cannot hold."""
    if (data := raw[place].as_py()) is not None:
        return {"b64": base64.b64encode(data).decode()}
    name = FIELD_OF.get(wire, TEXT)
    offsets = lists[name].offsets
    items = values[name][offsets[place].as_py() : offsets[place + 1].as_py()]
    return {"data": items} if name == TEXT else _numbers(items.astype(DATATYPES[wire].dtype))


def _numbers(array: Array) -> Row:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return {"b64": base64.b64encode(array.tobytes()).decode()}
    return {"data": array.tolist()}
