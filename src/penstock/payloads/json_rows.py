"""One record as a line of JSON, which holds every value exactly."""

import base64
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import orjson

from penstock.domain.records import SCHEMA_VERSION, PayloadRecord
from penstock.domain.tensor import RAW_ONLY, Array, Tensor

_US_PER_S: Final = 1_000_000
_LENGTH: Final = struct.Struct("<I")
_LINE: Final = (
    b'{"schema_version":%d,"request_id":%%b,"trace_id":"%%b","timestamp":"%%b.%%06dZ",%%b,"error":%%b,"total_us":%%d,"queue_us":%%d,'
    b'"infer_us":%%d,"batch_size":%%d,"client_id":%%b,"subject":"%%b","caller":%%b,"sampling_fraction":%%a,"inputs":[%%b],"outputs":[%%b],"metadata":%%b}\n'
) % SCHEMA_VERSION


def line_of(record: PayloadRecord) -> bytes:
    """Return the line, its end included; raises TypeError for text that is no UTF-8.

    The parts that rows have in common are written once and remembered: a third of the time that one dictionary for each row takes.
    """
    seconds, micros = divmod(record.timestamp_us, _US_PER_S)
    return _LINE % (
        orjson.dumps(record.request_id),
        record.trace_id.encode(),
        _second(seconds),
        micros,
        _common(
            record.model, record.version, record.digest, record.alias, record.route, record.protocol, record.status, record.status_code
        ),
        orjson.dumps(record.error),
        record.total_us,
        record.queue_us,
        record.infer_us,
        record.batch_size,
        orjson.dumps(record.client_id),
        record.subject.encode(),
        orjson.dumps(record.caller),
        record.sampling_fraction,
        cells_of(record.inputs),
        cells_of(record.outputs),
        orjson.dumps(record.metadata),
    )


@lru_cache(16)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


@lru_cache(1024)
def _common(model: str, version: str, digest: str, alias: str, route: str, protocol: str, status: str, code: int) -> bytes:  # noqa: PLR0917
    fields = {
        "model": model,
        "version": version,
        "digest": digest,
        "alias": alias,
        "route": route,
        "protocol": protocol,
        "status": status,
        "status_code": code,
    }
    return orjson.dumps(fields)[1:-1]


def cells_of(tensors: Sequence[Tensor]) -> bytes:
    """Return the tensors as the elements of a JSON list; raises TypeError for names that are no UTF-8."""
    if len(tensors) == 1:  # as nearly always
        return _cell(tensors[0])
    return b",".join(map(_cell, tensors))


def _cell(tensor: Tensor) -> bytes:
    name, datatype, array = tensor
    head = _head(name, datatype.wire, array.shape)
    data = None if datatype.wire in RAW_ONLY else _data(array)
    return head + (b'"data":' + data if data is not None else b'"b64":"' + base64.b64encode(_bytes_of(array)) + b'"') + b"}"


@lru_cache(1024)
def _head(name: str, wire: str, shape: tuple[int, ...]) -> bytes:
    return orjson.dumps({"name": name, "datatype": wire, "shape": shape})[:-1] + b","


def _data(array: Array) -> bytes | None:
    """Return the elements row-major as a list; None for numbers that JSON lacks and text that is no UTF-8."""
    flat = array.ravel()
    if array.dtype.hasobject:
        return _texts(flat)
    data = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)
    # What JSON lacks has become null. To look for the word costs less than to look at the numbers.
    return None if b"null" in data else data


def _texts(flat: Array) -> bytes | None:
    try:
        return orjson.dumps(flat.tolist())
    except TypeError:
        return None


def _bytes_of(array: Array) -> bytes:
    """Return the elements little-endian and row-major, those of BYTES with a length of four bytes before each: as on the wire."""
    return array.tobytes() if not array.dtype.hasobject else b"".join(map(_framed, array.flat))


def _framed(item: object) -> bytes:
    data = item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(data)) + data
