"""One record as a line of JSON, which holds every value exactly."""

import base64
import struct
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
import orjson

from penstock.domain.records import SCHEMA_VERSION, PayloadRecord
from penstock.domain.tensor import RAW_ONLY, Array, Tensor

_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
_US_PER_S: Final = 1_000_000
_LENGTH: Final = struct.Struct("<I")
Cell = dict[str, Any]


def line_of(record: PayloadRecord) -> bytes:
    """Return the line, its end included; raises ValueError or TypeError for what JSON cannot say."""
    try:
        line = orjson.dumps(_row(record, exact=False), option=_OPTIONS)
    except TypeError:  # text that is not UTF-8
        return orjson.dumps(_row(record, exact=True), option=_OPTIONS)
    # A number that JSON lacks has become null. Hardly any line holds one, and to look for the word costs less than to look at the numbers.
    return orjson.dumps(_row(record, exact=True), option=_OPTIONS) if b"null" in line else line


def _row(record: PayloadRecord, *, exact: bool) -> Cell:
    cell = _exact_cell if exact else _cell
    return {
        "schema_version": SCHEMA_VERSION,
        "request_id": record.request_id,
        "trace_id": record.trace_id,
        "timestamp": timestamp_of(record.timestamp_us),
        "model": record.model,
        "version": record.version,
        "digest": record.digest,
        "alias": record.alias,
        "route": record.route,
        "protocol": record.protocol,
        "status_code": record.status_code,
        "error": record.error,
        "total_us": record.total_us,
        "queue_us": record.queue_us,
        "infer_us": record.infer_us,
        "batch_size": record.batch_size,
        "client": record.client,
        "sampling_fraction": record.sampling_fraction,
        "inputs": [cell(tensor) for tensor in record.inputs],
        "outputs": [cell(tensor) for tensor in record.outputs],
        "metadata": record.metadata,
    }


def timestamp_of(timestamp_us: int) -> str:
    """Return microseconds since the epoch as RFC 3339 has it, UTC."""
    seconds, micros = divmod(timestamp_us, _US_PER_S)
    return f"{_second(seconds)}.{micros:06d}Z"


@lru_cache(16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _cell(tensor: Tensor) -> Cell:
    name, datatype, array = tensor
    if datatype.wire in RAW_ONLY:
        return _raw(tensor)
    flat = array.reshape(-1)
    data = flat if datatype.itemsize and flat.size else flat.tolist()
    return {"name": name, "datatype": datatype.wire, "shape": array.shape, "data": data}


def _exact_cell(tensor: Tensor) -> Cell:
    return _cell(tensor) if _fits_json(tensor) else _raw(tensor)


def _fits_json(tensor: Tensor) -> bool:
    if tensor.datatype.itemsize:
        return tensor.array.dtype.kind != "f" or bool(np.isfinite(tensor.array).all())
    try:
        "".join(tensor.array.flat).encode()
    except (TypeError, UnicodeEncodeError):
        return False
    return True


def _raw(tensor: Tensor) -> Cell:
    data = base64.b64encode(_bytes_of(tensor.array)).decode()
    return {"name": tensor.name, "datatype": tensor.datatype.wire, "shape": tensor.array.shape, "b64": data}


def _bytes_of(array: Array) -> bytes:
    """Return the elements little-endian and row-major, those of BYTES with a length of four bytes before each: as on the wire."""
    return array.tobytes() if not array.dtype.hasobject else b"".join(map(_framed, array.flat))


def _framed(item: object) -> bytes:
    data = item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogateescape")
    return _LENGTH.pack(len(data)) + data
