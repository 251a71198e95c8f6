"""Recorded payloads as they are read back: files, rows, tensors."""

import base64
import contextlib
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import orjson

from penstock.domain.tensor import DATATYPES, Array
from penstock.payloads.feedback_record import FOLDER
from penstock.payloads.layout import JSON_LINES, OPEN, PARQUET, SUFFIXES
from penstock.payloads.row import Row, UnreadableRow
from penstock.payloads.tombstones import Tombstones

_LENGTH: Final = struct.Struct("<I")
_BLOCK: Final = 256 * 1024


def sealed_files(root: Path, model: str = "*", version: str = "*") -> list[Path]:
    """Return the files whose writers have finished them, the oldest first."""
    found = _found(root, model, version, SUFFIXES)
    return sorted((path for path in found if not path.name.startswith(".")), key=lambda path: (path.name, str(path)))


def feedback_files(root: Path, model: str = "*") -> list[Path]:
    """Return the files of feedback below a directory of payloads whose writers have finished them, the oldest first."""
    found = (root / FOLDER).glob(f"model={model}/date=*/*{JSON_LINES}")
    return sorted((path for path in found if not path.name.startswith(".")), key=lambda path: (path.name, str(path)))


def open_files(root: Path, model: str = "*", version: str = "*") -> list[Path]:
    """Return the files that are being written, or that a writer has left."""
    return sorted(_found(root, model, version, [f"{suffix}{OPEN}" for suffix in SUFFIXES]))


def _found(root: Path, model: str, version: str, ends: Iterable[str]) -> Iterator[Path]:
    for end in ends:
        yield from root.glob(f"model={model}/version={version}/date=*/hour=*/*{end}")


def tables() -> ModuleType:
    """Return what reads Parquet; raises `OSError` where that is not installed."""
    try:
        from penstock.payloads import parquet_rows  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise OSError("Parquet needs the extra `parquet`: pip install 'penstock[parquet]'") from error
    return parquet_rows


def readable() -> tuple[str, ...]:
    """Return the ends of the names of files that can be read here."""
    return SUFFIXES if find_spec("pyarrow") is not None else (JSON_LINES,)


def row_count(path: Path) -> int:
    """Return how many rows a sealed file has. Raises `UnreadableRow`, `OSError`."""
    if PARQUET in path.suffixes:
        rows: int = tables().rows_in(path)
        return rows
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(partial(file.read, _BLOCK), b""))


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the rows of a file; a last one that is not whole yet is left out. Raises `UnreadableRow`, `OSError`."""
    if PARQUET in path.suffixes:
        yield from tables().rows_of_parquet(path)
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise UnreadableRow(f"{path}, line {number}: {error}") from error


def requests_in(path: Path, tombstones: Tombstones) -> Iterator[tuple[str, str]]:
    """Yield model and request id of the rows of a file that are to go. Raises `UnreadableRow`, `OSError`."""
    if PARQUET in path.suffixes:
        yield from tables().requests_in_parquet(path, tombstones)
        return
    with path.open("rb") as file:
        for line in filter(tombstones.takes_line, file):
            with contextlib.suppress(orjson.JSONDecodeError, KeyError):  # what is no row
                row = orjson.loads(line)
                yield row["model"], row["request_id"]


def last_rows(path: Path, most: int) -> list[Row]:
    """Return the last rows of a file without reading the others. Raises `UnreadableRow`, `OSError`."""
    if PARQUET in path.suffixes:
        last: list[Row] = tables().last_rows_of_parquet(path, most)
        return last
    with path.open("rb") as file:
        position, newlines = file.seek(0, 2), 0
        pieces: deque[bytes] = deque()
        while position and newlines <= most:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            pieces.appendleft(file.read(step))
            newlines += pieces[0].count(b"\n")
    tail = b"".join(pieces)
    whole = tail[: tail.rfind(b"\n") + 1].splitlines(keepends=True)[-most:] if most else []
    try:
        return [orjson.loads(line) for line in whole]
    except orjson.JSONDecodeError as error:
        raise UnreadableRow(f"{path}, near its end: {error}") from error


def array_of(cell: Row) -> Array:
    """Return a tensor's array, equal to what was sent or answered; BF16 is its 16 raw bits, and BYTES that are no text are bytes."""
    datatype, shape = DATATYPES[cell["datatype"]], tuple(cell["shape"])
    if "b64" not in cell:
        return _array(cell["data"], datatype.dtype).reshape(shape)
    data = base64.b64decode(cell["b64"])
    if datatype.itemsize:
        return np.frombuffer(data, datatype.dtype).reshape(shape)
    return _array(list(_texts(data)), datatype.dtype).reshape(shape)


def _array(values: list[Any], dtype: np.dtype[Any]) -> Array:
    if not dtype.hasobject:
        return np.array(values, dtype=dtype)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _texts(data: bytes) -> Iterator[str | bytes]:
    offset = 0
    while offset < len(data):
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += _LENGTH.size
        item = data[offset : offset + length]
        offset += length
        try:
            yield item.decode()
        except UnicodeDecodeError:
            yield item
