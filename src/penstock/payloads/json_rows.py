"""Records as lines of JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import orjson

from penstock.domain.records import SCHEMA_VERSION, PayloadRecord
from penstock.payloads.json_cells import cells_of

_US_PER_S: Final = 1_000_000
_LINE: Final = (
    '{"schema_version":%d,"request_id":%s,"trace_id":"%s","timestamp":"%s.%06dZ",%s,"error":%s,"total_us":%d,"queue_us":%d,"infer_us":%d,'
    '"batch_size":%d,"client_id":%s,"subject":"%s","caller":%s,"sampling_fraction":%r,"inputs":[%s],"outputs":[%s],"metadata":%s}\n'
)


def line_of(record: PayloadRecord) -> bytes:
    """Return the line of one record; see `lines_of`."""
    return lines_of([record])[0]


def lines_of(records: Sequence[PayloadRecord]) -> list[bytes]:
    """Return the lines, their ends included; raises TypeError or ValueError for text that is no UTF-8.

    What rows have in common is written once: a third of the time that one dictionary for each row takes.
    """
    inputs, outputs = cells_of([record.inputs for record in records]), cells_of([record.outputs for record in records])
    return list(map(_line, records, inputs, outputs))


def _line(record: PayloadRecord, inputs: str, outputs: str) -> bytes:
    # Unpacked at once and formatted at once: a quarter less than name by name.
    (
        request_id,
        trace_id,
        at,
        model,
        version,
        digest,
        alias,
        route,
        protocol,
        status,
        error,
        total_us,
        queue_us,
        infer_us,
        batch_size,
        client_id,
        fraction,
        _,
        _,
        metadata,
        code,
        subject,
        caller,
    ) = record
    line = _LINE % (
        SCHEMA_VERSION,
        _text(request_id),
        trace_id,
        _second(at // _US_PER_S),
        at % _US_PER_S,
        _common(model, version, digest, alias, route, protocol, status, code),
        _text(error),
        total_us,
        queue_us,
        infer_us,
        batch_size,
        _text(client_id),
        subject,
        _text(caller),
        fraction,
        inputs,
        outputs,
        orjson.dumps(metadata).decode() if metadata else "{}",
    )
    return line.encode()


def _text(text: str) -> str:
    return orjson.dumps(text).decode() if text else '""'


@lru_cache(16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(100)  # versions come and go
def _common(model: str, version: str, digest: str, alias: str, route: str, protocol: str, status: str, code: int) -> str:  # noqa: PLR0917
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
    return orjson.dumps(fields)[1:-1].decode()
