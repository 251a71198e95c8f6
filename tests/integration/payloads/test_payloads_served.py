"""What was asked and answered, read back: from every datatype, over both wires, with everything that is to be kept back gone."""

import contextlib
import importlib
import json
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import Serving, until

from penstock.domain.request import InferenceRequest
from penstock.domain.tensor import DATATYPES, RAW_ONLY
from penstock.payloads import duck
from penstock.payloads.reading import array_of, open_files, rows_of, sealed_files
from penstock.payloads.recording import is_drawn
from penstock.traffic.marks import threshold_of

MODELS = {
    "BOOL": "id_bool",
    "UINT8": "id_u8",
    "UINT16": "id_u16",
    "UINT32": "id_u32",
    "UINT64": "id_u64",
    "INT8": "id_i8",
    "INT16": "id_i16",
    "INT32": "id_i32",
    "INT64": "id_i64",
    "FP16": "id_fp16",
    "FP32": "id_fp32",
    "FP64": "id_fp64",
    "BF16": "id_bf16",
    "BYTES": "id_str",
}
CANARY = "CANARY-4711"
numbers = count()


def values_of(wire: str) -> np.ndarray:
    """Return two rows of three elements, the least and the most among them."""
    dtype = DATATYPES[wire].dtype
    if wire == "BYTES":
        return np.array([["", 'ä\n"', "null"], ["a", "b", "c"]], dtype=object)
    if wire == "BOOL":
        return np.array([[True, False, True], [False, False, True]])
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        return np.array([[limits.max, limits.tiny, -0.0], [0.1, 1 / 3, -7.25]], dtype=dtype)
    return np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max, 0], [1, 2, 3]], dtype=dtype)


def raw_of(array: np.ndarray) -> bytes:
    """Return the elements as they are on the wire."""
    if not array.dtype.hasobject:
        return array.tobytes()
    return b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in array.flat)


def question(wire: str, array: np.ndarray, *, raw: bool) -> dict[str, Any]:
    """Return a question with one tensor."""
    value = {"raw": raw_of(array)} if raw else {"data": array.tolist()}
    answer = {"parameters": {"binary_data_output": True}} if raw else {}
    return {"inputs": [{"name": "X", "datatype": wire, "shape": list(array.shape), **value}], **answer}


def ask(serving: Serving, protocol: str, model: str, asked: dict[str, Any], **headers: str) -> str:
    """Ask, and return the request's id."""
    request_id = f"asked-{next(numbers)}"
    serving.transports[protocol].infer(model, asked, headers={"x-request-id": request_id, **headers})
    return request_id


def row_of(serving: Serving, request_id: str, model: str = "*") -> dict[str, Any]:
    """Return the row of a request, once it is written."""
    root = serving.state / "payloads"
    (row,) = until(lambda: _found(root, model, request_id), otherwise=lambda: f"{request_id} is in no file")
    return row


def _found(root: Path, model: str, request_id: str) -> list[dict[str, Any]]:
    paths = sealed_files(root, model) + open_files(root, model)
    with contextlib.suppress(FileNotFoundError):  # sealed meanwhile
        return [row for path in paths for row in rows_of(path) if row["request_id"] == request_id]
    return []


@pytest.mark.parametrize("form", ["http json", "http raw", "grpc json", "grpc raw"])
@pytest.mark.parametrize("wire", MODELS)
def test_the_row_holds_the_tensors_that_were_sent_and_answered(recorded: Serving, wire: str, form: str) -> None:
    """Bit by bit, whatever the datatype and the wire."""
    protocol, kind = form.split()
    if kind == "json" and wire in RAW_ONLY:
        kind = "raw"
    sent = values_of(wire)
    row = row_of(recorded, ask(recorded, protocol, MODELS[wire], question(wire, sent, raw=kind == "raw")), MODELS[wire])
    assert (row["status"], row["status_code"], row["protocol"], row["model"], row["version"]) == ("OK", 200, protocol, MODELS[wire], "1")
    for side in ("inputs", "outputs"):
        (cell,) = row[side]
        assert (cell["datatype"], cell["shape"]) == (wire, [2, 3])
        assert raw_of(array_of(cell)) == raw_of(sent)


def test_the_row_tells_what_else_there_is_to_know(recorded: Serving) -> None:
    """Headers that are allowed and no others, the trace, the caller's own id."""
    asked = question("FP32", values_of("FP32"), raw=False) | {"id": "mine"}
    trace = "0af7651916cd43dd8448eb211c80319c"
    row = row_of(
        recorded,
        ask(recorded, "http", "id_fp32", asked, **{"x-tenant": "t1", "x-secret": CANARY, "traceparent": f"00-{trace}-b7ad6b7169203331-01"}),
    )
    assert (row["metadata"], row["trace_id"], row["client_id"]) == ({"x-tenant": "t1"}, trace, "mine")
    assert row["batch_size"] == 2
    assert row["total_us"] >= row["queue_us"] + row["infer_us"] > 0
    assert row["sampling_fraction"] == 1


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_prediction_that_fails_has_a_row_too(recorded: Serving, protocol: str) -> None:
    """With its status, its message and what was sent."""
    row = row_of(recorded, ask(recorded, protocol, "id_fp32", question("INT32", np.array([[1]], np.int32), raw=False)))
    assert (row["status"], row["status_code"]) == ("INVALID_ARGUMENT", 400)
    assert "INT32" in row["error"]
    assert row["outputs"] == []


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("model", ["private_drop", "private_hash", "private_truncate", "private_number"])
def test_what_is_redacted_appears_nowhere(recorded: Serving, model: str, protocol: str) -> None:
    """Not in files, whole or being written, not in the log, metrics or answers of the admin listener, and not in messages of errors."""
    text = np.array([[CANARY]], dtype=object)
    wire = "FP32" if model == "private_number" else "BYTES"
    good = np.array([[38217.75]], np.float32) if wire == "FP32" else text
    row = row_of(recorded, ask(recorded, protocol, model, question(wire, good, raw=False)))
    assert row["status"] == "OK"
    asked = question("FP32", text, raw=False) if protocol == "http" else question("BYTES", np.array([[[CANARY]]], dtype=object), raw=True)
    bad = row_of(recorded, ask(recorded, protocol, "private_number" if wire == "FP32" else model, asked))
    assert (bad["status"], bad["error"]) == ("INVALID_ARGUMENT", "")
    misnamed = {"inputs": [{"name": CANARY, "datatype": "BYTES", "shape": [1, 1], "data": [CANARY]}]}
    row_of(recorded, ask(recorded, protocol, model, misnamed))
    places = [path.read_bytes() for path in recorded.state.rglob("*") if path.is_file()]
    pages = [recorded.admin.get(page, headers=recorded.authorized).content for page in ("/metrics", f"/admin/models/{model}")]
    for place in [*places, *pages, recorded.log.encode()]:
        assert CANARY.encode() not in place
        assert b"38217.75" not in place
    assert row["outputs"] == []


def test_every_prediction_has_a_row_or_is_counted_as_dropped(recorded: Serving) -> None:
    """The metrics and the ledger agree."""
    until(lambda: _balances(recorded), otherwise=lambda: recorded.admin.get("/metrics").text)


def _balances(serving: Serving) -> bool:
    samples = {}
    for line in serving.admin.get("/metrics").text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("penstock_payload"):
            samples[name] = float(value)
    dropped = sum(value for name, value in samples.items() if name.startswith("penstock_payload_dropped_total"))
    received = sum(number for (_, model), number in serving.counters()[0].items() if model != "other")
    return samples['penstock_payload_rows_total{sink="jsonl"}'] + dropped == received


def test_sampling_is_told_changed_and_agrees_over_protocols(recorded: Serving) -> None:
    """A request id is sampled by its hash, whichever wire it comes by; the change is an event."""
    path = "/admin/models/id_i8/payloads"
    assert recorded.admin.get(path).status_code == 401
    told = recorded.admin.get(path, headers=recorded.authorized).json()
    assert (told["sample"], told["redact"], told["sink"]) == (1.0, {}, "jsonl")
    changed = recorded.admin.put(path, json=told | {"sample": 0.5}, headers=recorded.authorized)
    assert (changed.status_code, changed.json()["sample"]) == (200, 0.5), changed.text
    asked = question("INT8", np.array([[1]], np.int8), raw=False)
    ids = {protocol: [ask(recorded, protocol, "id_i8", asked) for _ in range(40)] for protocol in ("http", "grpc")}
    recorded.admin.put(path, json={"sample": 1.0}, headers=recorded.authorized)
    row_of(recorded, ask(recorded, "http", "id_i8", asked))
    until(lambda: not open_files(recorded.state / "payloads", "id_i8"))
    kept = {row["request_id"]: row for p in sealed_files(recorded.state / "payloads", "id_i8") for row in rows_of(p)}
    for request_id in ids["http"] + ids["grpc"]:
        assert (request_id in kept) == is_drawn(InferenceRequest("", "", "", [], request_id=request_id), threshold_of(0.5))
        assert request_id not in kept or kept[request_id]["sampling_fraction"] == 0.5
    events = recorded.admin.get("/admin/models/id_i8", headers=recorded.authorized).json()["events"]
    assert any(event["what"] == "payloads" and event["after"] == "sample 0.5" for event in events)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"sample": 2}, "sample is 2"),
        ({"smaple": 1}, "smaple"),
        ({"sample": "all"}, "float"),
        ({"redact": {}}, "redact can only be changed in the settings"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(recorded: Serving, body: dict[str, Any], told: str) -> None:
    """And nothing changes: least of all is anything less redacted than before."""
    path = "/admin/models/private_hash/payloads"
    before = recorded.admin.get(path, headers=recorded.authorized).json()
    answer = recorded.admin.put(path, json=body, headers=recorded.authorized)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert told in answer.json()["error"]
    assert recorded.admin.get(path, headers=recorded.authorized).json() == before


def command(serving: Serving, *arguments: str) -> str:
    """Return what a command below `penstock payloads` prints."""
    program = Path(sys.executable).with_name("penstock")
    given = [str(program), "payloads", *arguments, "--dir", str(serving.state / "payloads")]
    return subprocess.run(given, check=True, capture_output=True, text=True, cwd=serving.state).stdout


def test_commands_read_what_was_recorded(recorded: Serving, tmp_path: Path) -> None:
    """As lines, as figures, by SQL and as tables for pandas."""
    pandas = importlib.import_module("pandas")
    sent = values_of("FP64")
    row_of(recorded, ask(recorded, "grpc", "id_str", question("BYTES", values_of("BYTES"), raw=True)))
    request_id = ask(recorded, "http", "id_fp64", question("FP64", sent, raw=True))
    row_of(recorded, request_id)
    until(lambda: not open_files(recorded.state / "payloads"))
    last = json.loads(command(recorded, "tail", "id_fp64", "-n", "1", "--json"))
    assert last["request_id"] == request_id
    assert "id_fp64/1" in command(recorded, "tail", "id_fp64", "-n", "1")
    (figures,) = json.loads(command(recorded, "stats", "id_fp64", "--json"))
    assert figures["predictions"] == figures["rows"] >= 1
    sql = f"SELECT request_id, inputs[1].data AS data, year(timestamp) > 2000 AS dated FROM payloads WHERE request_id = '{request_id}'"
    (found,) = json.loads(command(recorded, "query", sql, "id_fp64", "--json"))
    assert found["dated"]
    assert json.loads(found["data"]) == sent.ravel().tolist()
    for reader, read in (("csv", pandas.read_csv), ("pandas", pandas.read_parquet)):
        command(recorded, "export", "id_fp64", "--for", reader, "--output", str(tmp_path / reader))
        frame = read(tmp_path / reader)
        frame = frame[frame.request_id == request_id].sort_values("row")
        assert frame[["X.0", "X.1", "X.2"]].to_numpy().tolist() == sent.tolist()
        assert frame["prediction.Y.1"].tolist() == sent[:, 1].tolist()
    command(recorded, "export", "id_str", "--for", "evidently", "--output", str(tmp_path / "table"))
    roles = json.loads((tmp_path / "table.definition.json").read_text())
    assert roles["text_columns"] == ["X.0", "X.1", "X.2"]
    assert roles["categorical_columns"] == ["prediction.Y.0", "prediction.Y.1", "prediction.Y.2"]


@pytest.mark.parametrize("form", ["http json", "http raw", "grpc json", "grpc raw"])
def test_every_datatype_is_the_same_in_duckdb(recorded: Serving, form: str) -> None:
    """Bit by bit, from files that are finished."""
    protocol, kind = form.split()
    root, sent, asked = recorded.state / "payloads", {wire: values_of(wire) for wire in MODELS}, {}
    for wire, array in sent.items():
        asked[wire] = ask(recorded, protocol, MODELS[wire], question(wire, array, raw=kind == "raw" or wire in RAW_ONLY))
        row_of(recorded, asked[wire], MODELS[wire])
    until(lambda: not open_files(root))
    with duck.opened(sealed_files(root)) as database:
        rows = database.execute("SELECT request_id, to_json(inputs[1]), to_json(outputs[1]) FROM payloads").fetchall()
    found = {request_id: cells for request_id, *cells in rows}
    for wire, request_id in asked.items():
        for text in found[request_id]:
            cell = {key: value for key, value in json.loads(text).items() if value is not None}
            assert raw_of(array_of(cell)) == raw_of(sent[wire]), wire
