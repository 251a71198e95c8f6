"""Recorded rows as CloudEvents, the way KServe's logger sends them (kserve/kserve: pkg/logger/worker.go and handler.go)."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import orjson

from penstock.domain.route import PINNED, STABLE
from penstock.payloads.row import Row

Mode = Literal["all", "request", "response"]
_TYPE: Final = "org.kubeflow.serving.inference."
_UNSAFE: Final = re.compile(r"^ +| +$|[^ -~]|%")
"""What stands percent-encoded in a header (CloudEvents, HTTP protocol binding, section 3.1.3.2); quotes stay, and blanks within, as
KServe's do; at its ends a header can have none."""


class Event(NamedTuple):
    """One event in binary mode, but for the time of sending."""

    headers: dict[str, str]
    body: bytes


class EventNames(NamedTuple):
    """What events say of their sender."""

    source: str
    namespace: str
    mode: Mode = "all"


def events_of(row: Row, names: EventNames) -> Iterator[Event]:
    """Yield the request and the answer of a row as events; a prediction without an answer has only its request, as KServe's have."""
    ended = datetime.fromisoformat(row["timestamp"])
    if names.mode != "response":
        yield _event(row, names, "request", ended - timedelta(microseconds=row["total_us"]), row["inputs"])
    if names.mode != "request" and row["status"] == "OK":
        yield _event(row, names, "response", ended, row["outputs"])


def _event(row: Row, names: EventNames, kind: Literal["request", "response"], at: datetime, cells: list[Row]) -> Event:
    metadata: Mapping[str, str] = row["metadata"]
    headers = {
        "ce-specversion": "1.0",
        "ce-id": metadata.get("ce-id") or row["request_id"],
        "ce-type": _TYPE + kind,
        "ce-source": names.source,
        "ce-time": rfc3339(at),
        "ce-inferenceservicename": row["model"],
        "ce-namespace": names.namespace,
        "ce-component": "predictor",
        "ce-endpoint": "default" if row["route"] in {STABLE, PINNED} else "canary",
        "ce-metadata": json.dumps({_canonical(name): [value] for name, value in metadata.items()}),
    }
    safe = {name: _UNSAFE.sub(_encoded, value) for name, value in headers.items()}
    length, body = _body(_document(row, kind), "inputs" if kind == "request" else "outputs", cells)
    if length is None:
        return Event(safe | {"content-type": "application/json"}, body)
    return Event(safe | {"content-type": "application/octet-stream", "inference-header-content-length": str(length)}, body)


def rfc3339(at: datetime) -> str:
    """Return a moment of UTC."""
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _document(row: Row, kind: str) -> dict[str, Any]:
    document = {"id": row["client_id"]} if row["client_id"] else {}
    return document if kind == "request" else {"model_name": row["model"], "model_version": row["version"], **document}


def _body(document: dict[str, Any], key: str, cells: list[Row]) -> tuple[int | None, bytes]:
    """Return the body in the protocol's JSON, or in its binary extension where JSON cannot hold a tensor; then also the JSON's length."""
    raw = [base64.b64decode(cell["b64"]) for cell in cells if "b64" in cell]
    text = orjson.dumps(document | {key: list(map(_tensor, cells))})
    return (None, text) if not raw else (len(text), b"".join([text, *raw]))


def _tensor(cell: Row) -> Row:
    head = {name: cell[name] for name in ("name", "shape", "datatype")}
    if "b64" not in cell:
        return head | {"data": cell["data"]}
    return head | {"parameters": {"binary_data_size": len(base64.b64decode(cell["b64"]))}}


def _canonical(name: str) -> str:
    """Return a header's name as Go writes it."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
