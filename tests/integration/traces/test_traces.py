"""A trace that a caller begins goes on through the server, to a collector that speaks OTLP."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "contract"))
sys.path.insert(0, str(Path(__file__).parent))

from collector import Collector, values
from prometheus_client.parser import text_string_to_metric_families
from serving import Serving, until

ASKED = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 3], "data": [1.0, 2.0, 3.0]}]}
SPAN = "b7ad6b7169203331"
STEPS = ["receive", "queue", "compute", "send"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on a free port."""
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def serving(tmp_path: Path, models: ModuleType) -> Iterator[Serving]:
    """A server of one model, not started."""
    models.write_configured_model(
        tmp_path / "registry", "id_fp32", models.identity("id_fp32", "float", "batch,n"), 8, "dynamic_batching { }"
    )
    serving = Serving(tmp_path / "registry", tmp_path)
    yield serving
    serving.kill()


def start(serving: Serving, collector: Collector, *settings: str) -> None:
    """Start a server that sends its traces there."""
    serving.start(f"telemetry.otlp_endpoint={collector.address}", "telemetry.access_log=all", "telemetry.log_format=json", *settings)


def send_together(serving: Serving, count: int) -> None:
    """Send requests in one write, so that they are read in one turn of the loop, and read all answers."""
    body = json.dumps(ASKED).encode()
    head = f"POST /v2/models/id_fp32/infer HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    host, port = serving.addresses["http"].split(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall((head + body) * count)
        answers = b""
        while answers.count(b"HTTP/1.1 200 OK") < count:
            answers += connection.recv(65_536)


def traced(serving: Serving) -> dict[str, int]:
    """Return what the metrics count of traces, by "exported" or the reason of a drop."""
    page = serving.admin.get("/metrics").text
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    counts = {sample.labels["reason"]: int(sample.value) for sample in samples if sample.name == "penstock_trace_dropped_total"}
    exported = [int(sample.value) for sample in samples if sample.name == "penstock_traces_total"]
    return counts | dict.fromkeys(["exported"][: len(exported)], sum(exported))


def log_lines(serving: Serving) -> list[dict[str, object]]:
    """Return the lines of predictions."""
    lines = [json.loads(line) for line in serving.log.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == "prediction"]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_callers_trace_goes_on_through_each_step(serving: Serving, collector: Collector, protocol: str) -> None:
    """The prediction is the caller's child, its steps are its own, one after the other; log line and row tell the trace."""
    start(serving, collector, "telemetry.trace_ratio=0.0", "defaults.payloads.sample=1.0", "telemetry.service_name=fraud")
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"x-request-id": "mine", "traceparent": f"00-{trace}-{SPAN}-01", "tracestate": "vendor=1"}
    serving.transports[protocol].infer("id_fp32", ASKED, headers=headers)
    serving.transports[protocol].infer("id_fp32", ASKED, headers={"traceparent": f"00-{'a' * 32}-{SPAN}-00"})
    serving.transports[protocol].infer("id_fp32", ASKED, headers={"traceparent": "malformed"})
    serving.stop()

    (whole,) = collector.named("predict id_fp32")
    assert (whole.trace_id.hex(), whole.parent_span_id.hex(), whole.trace_state, whole.kind) == (trace, SPAN, "vendor=1", 2)
    told = values(whole.attributes)
    assert (told["penstock.model"], told["penstock.version"], told["penstock.request_id"]) == ("id_fp32", "1", "mine")
    assert (told["penstock.status"], told["penstock.protocol"], told["penstock.batch_rows"]) == ("OK", protocol, 1)
    steps = [span for name in STEPS for span in collector.named(name, trace)]
    assert [span.name for span in steps] == STEPS
    assert {span.parent_span_id for span in steps} == {whole.span_id}
    moments = [whole.start_time_unix_nano, *(moment for span in steps for moment in (span.start_time_unix_nano, span.end_time_unix_nano))]
    assert [*moments, whole.end_time_unix_nano] == sorted([*moments, whole.end_time_unix_nano])
    assert len(collector.spans) == 5
    assert collector.resources[0]["service.name"] == "fraud"
    assert {line["request_id"]: line["trace_id"] for line in log_lines(serving)}["mine"] == trace
    rows = [json.loads(line) for path in (serving.state / "payloads").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert {row["request_id"]: row["trace_id"] for row in rows}["mine"] == trace


def test_malformed_state_of_a_callers_trace_is_left_out_without_a_word(serving: Serving, collector: Collector) -> None:
    """What a caller sends stands in no line of the log, least of all in one that is no JSON."""
    start(serving, collector, "telemetry.trace_ratio=0.0")
    headers = {"traceparent": f"00-{'a' * 32}-{SPAN}-01", "tracestate": 'secret token {"level":"error"'}
    serving.transports["http"].infer("id_fp32", ASKED, headers=headers)
    serving.stop()

    (whole,) = collector.named("predict id_fp32")
    assert whole.trace_state == ""
    assert "secret" not in serving.log


def test_predictions_of_one_run_are_linked_to_it(serving: Serving, collector: Collector) -> None:
    """The run is a span of its own that names each of them; what begins here tells its trace in its row."""
    start(serving, collector, "telemetry.trace_ratio=1.0")
    send_together(serving, 4)
    serving.stop()

    computes = {span.span_id: span for span in collector.named("compute")}
    runs = collector.named("run")
    assert len(runs) == 1, "what is read together runs together"
    for run in runs:
        mates = [computes[link.span_id] for link in run.links]
        assert len(mates) == values(run.attributes)["penstock.batch_rows"] > 1
        assert all([link.span_id for link in mate.links] == [run.span_id] for mate in mates)
        assert {mate.start_time_unix_nano for mate in mates} == {run.start_time_unix_nano}
    lines = log_lines(serving)
    assert {line["trace_id"] for line in lines} == {span.trace_id.hex() for span in collector.named("predict id_fp32")}
    assert len({line["trace_id"] for line in lines}) == len(lines)


def test_what_fails_is_traced_without_a_word_of_its_inputs(serving: Serving, collector: Collector) -> None:
    """An error of the caller's is no error of the span; unknown models have no name in it."""
    start(serving, collector, "telemetry.trace_ratio=1.0")
    serving.client.post("/v2/models/nobody/infer", json=ASKED)
    serving.client.post("/v2/models/id_fp32/infer", json={"inputs": [{**ASKED["inputs"][0], "data": ["CANARY", 1, 2]}]})
    serving.stop()
    told = [values(span.attributes) for span in collector.named("predict")]
    assert [(each["penstock.status"], each["penstock.outcome"]) for each in told] == [
        ("NOT_FOUND", "client_error"),
        ("INVALID_ARGUMENT", "client_error"),
    ]
    assert {span.status.code for span in collector.spans} == {0}
    assert "CANARY" not in str(collector.spans)
    assert "nobody" not in str(collector.spans)


@pytest.mark.parametrize("fault", ["refuses", pytest.param("hangs", marks=pytest.mark.slow), pytest.param("gone", marks=pytest.mark.slow)])
def test_a_collector_that_fails_harms_no_prediction_and_each_trace_is_counted(serving: Serving, collector: Collector, fault: str) -> None:
    """It answers with an error, not at all, or is not there."""
    if fault == "refuses":
        collector.status = 400
    if fault == "hangs":
        collector.gate.clear()
    start(serving, collector, "telemetry.trace_ratio=1.0", "telemetry.trace_timeout_s=0.3")
    if fault == "gone":
        collector.close()
    for _ in range(5):
        assert serving.client.post("/v2/models/id_fp32/infer", json=ASKED).status_code == 200
    until(lambda: traced(serving) == {"exported": 0, "collector": 5})
    serving.assert_balanced()
    serving.stop()


def test_nothing_is_traced_and_nothing_is_imported_where_no_collector_is_named(serving: Serving) -> None:
    """No thread, no metric."""
    serving.start()
    serving.client.post("/v2/models/id_fp32/infer", json=ASKED, headers={"traceparent": f"00-{'a' * 32}-{SPAN}-01"})
    assert traced(serving) == {}
    maps = Path(f"/proc/{serving.pid}/task").iterdir()
    assert "penstock-traces" not in {(task / "comm").read_text().strip() for task in maps}
    serving.stop()
