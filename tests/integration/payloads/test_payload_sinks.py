"""Each sink gets the rows of the models that name it, whatever the others do, and each row is accounted for."""

import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import httpx2
import pytest
from confluent_kafka import Consumer, Producer
from event_collector import Collector
from moto.server import ThreadedMotoServer
from obstore import store
from prometheus_client.parser import text_string_to_metric_families
from serving import Serving, until

from penstock.payloads.reading import rows_of, sealed_files

SINKS: Final = ("jsonl", "parquet", "cloudevents", "kafka", "object_store")
PATIENCE_S: Final = 30
numbers = count()


class Far(NamedTuple):
    """Where rows go that leave the machine."""

    collector: Collector
    brokers: str
    bucket: str


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    """A collector of events, brokers and a bucket."""
    collector = Collector()
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
    brokers = ",".join(f"{each.host}:{each.port}" for each in cluster.list_topics(timeout=PATIENCE_S).brokers.values())
    moto = ThreadedMotoServer(port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    address = f"http://{host}:{port}"
    assert httpx2.put(f"{address}/records").status_code == 200
    with pytest.MonkeyPatch.context() as patch:
        variables = {"ACCESS_KEY_ID": "penstock", "SECRET_ACCESS_KEY": "x", "REGION": "us-east-1", "ENDPOINT_URL": address}
        for name, value in variables.items():
            patch.setenv(f"AWS_{name}", value)
        yield Far(collector, brokers, "s3://records/prod")
    moto.stop()
    cluster.flush(1)
    collector.close()


@pytest.fixture(scope="module")
def serving(far: Far, tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Iterator[Serving]:
    """A server with a model for each sink."""
    home = tmp_path_factory.mktemp("sinks")
    for sink in SINKS:
        models.write_configured_model(home / "registry", sink, models.identity(sink, "float", "batch,n"), 8)
    serving = Serving(home / "registry", home)
    settings = ["defaults.payloads.sample=1.0", "payloads.flush_s=0.02", "payloads.rotate_s=0.2", "payloads.timeout_s=1.0"]
    settings += [f'models.{sink}.payloads.sink="{sink}"' for sink in SINKS]
    settings += [f'payloads.cloudevents={{url="{far.collector.address}", namespace="shop", source="//here"}}']
    settings += [f'payloads.kafka.url="kafka://{far.brokers}/rows"', f'payloads.object_store={{url="{far.bucket}", format="parquet"}}']
    try:
        serving.start(*settings)
        yield serving
        serving.stop()
    finally:
        serving.kill()


def ask(serving: Serving, model: str, rows: int = 1) -> list[str]:
    """Ask so often, and return the requests' ids."""
    asked = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [0.1, 2.0]}]}
    ids = [f"{model}-{next(numbers)}" for _ in range(rows)]
    for name in ids:
        assert serving.client.post(f"/v2/models/{model}/infer", json=asked, headers={"x-request-id": name}).status_code == 200
    return ids


def figures(serving: Serving, sink: str) -> dict[str, float]:
    """Return what metrics say of a sink, by the last word of their names; of drops, by reason."""
    found = {}
    for family in text_string_to_metric_families(serving.admin.get("/metrics").text):
        for sample in family.samples:
            if sample.name.startswith("penstock_payload_") and sample.labels.get("sink") == sink:
                found[sample.labels.get("reason") or sample.name.removeprefix("penstock_payload_").removesuffix("_total")] = sample.value
    return found


def settled(serving: Serving, sink: str) -> dict[str, float]:
    """Return the figures once nothing waits; each prediction is a row or a drop then."""

    def done() -> dict[str, float] | None:
        found = figures(serving, sink)
        return found if found["waiting_rows"] == 0 else None

    found = until(done, within_s=PATIENCE_S, otherwise=lambda: f"{figures(serving, sink)}\n{serving.log}")
    drops = {name: value for name, value in found.items() if name in {"refused", "buffer_full", "queue_full", "io", "fault"}}
    assert found["accepted"] == found["rows"] + sum(drops.values())
    return found


def rows_below(root: Path, model: str) -> dict[str, Any]:
    """Return the rows of a model in sealed files, by request id."""
    return {row["request_id"]: row for path in sealed_files(root, model) for row in rows_of(path)}


@pytest.mark.parametrize("sink", ["jsonl", "parquet"])
def test_rows_of_a_model_are_in_files_of_its_form(serving: Serving, sink: str) -> None:
    """And in no others."""
    ids = ask(serving, sink, 5)
    root = serving.state / "payloads"
    until(lambda: rows_below(root, sink).keys() >= set(ids))
    settled(serving, sink)
    assert {path.suffix for path in sealed_files(root, sink)} == {f".{sink}"}
    (cell,) = rows_below(root, sink)[ids[0]]["inputs"]
    assert (cell["datatype"], cell["shape"], len(cell["data"])) == ("FP32", [1, 2], 2)


def test_events_arrive_in_pairs_that_the_sdk_reads(serving: Serving, far: Far) -> None:
    """Requests and answers, with one id and as the wire would have them."""
    ids = ask(serving, "cloudevents", 5)
    settled(serving, "cloudevents")
    pairs = far.collector.pairs()
    assert [pairs[name] for name in ids] == [["request", "response"]] * 5
    request, response = (event for event in far.collector.events if event.get_id() == ids[0])
    for event in (request, response):
        assert (event.get_source(), event.get_extension("namespace"), event.get_extension("inferenceservicename")) == (
            "//here",
            "shop",
            "cloudevents",
        )
        assert event.get_extension("recordedtime").endswith("Z")
    assert request.get_time() <= response.get_time()
    assert request.get_data()["inputs"][0]["data"] == pytest.approx([0.1, 2.0])
    assert (response.get_data()["model_name"], response.get_data()["outputs"][0]["name"]) == ("cloudevents", "Y")


def test_messages_arrive_at_the_brokers(serving: Serving, far: Far) -> None:
    """One for each row."""
    ids = ask(serving, "kafka", 5)
    assert settled(serving, "kafka")["sink_up"] == 1
    consumer = Consumer({"bootstrap.servers": far.brokers, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe(["rows"])
    found, end = {}, time.monotonic() + PATIENCE_S
    while not found.keys() >= set(ids) and time.monotonic() < end:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            found[message.key().decode()] = json.loads(message.value())
    consumer.close()
    assert [found[name]["model"] for name in ids] == ["kafka"] * 5


def test_sealed_files_go_to_the_bucket(serving: Serving, far: Far, tmp_path: Path) -> None:
    """Under the same path, and they are gone from here."""
    ids = ask(serving, "object_store", 5)
    settled(serving, "object_store")
    bucket = store.from_url(far.bucket, client_options={"allow_http": True})
    for page in bucket.list():
        for meta in page:
            path = tmp_path / meta["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(bucket.get(meta["path"]).bytes()))
    found = rows_below(tmp_path, "object_store")
    assert [found[name]["model"] for name in ids] == ["object_store"] * 5
    assert not list((serving.state / "payloads" / "buffer").rglob("*.parquet*"))


@pytest.mark.parametrize("fault", ["refuses", "hangs"])
def test_a_collector_that_is_away_costs_no_row_and_nobody_else_notices(serving: Serving, far: Far, fault: str) -> None:
    """Rows wait on the disk; other sinks go on."""
    collector, before = far.collector, far.collector.asked
    if fault == "refuses":
        collector.status = 503
    else:
        collector.gate.clear()
    try:
        ids = ask(serving, "cloudevents", 10)
        until(lambda: collector.asked > before)
        until(lambda: figures(serving, "cloudevents")["sink_up"] == 0)
        found = figures(serving, "cloudevents")
        assert found["waiting_rows"] >= 10
        assert found["buffer_bytes"] > 0
        others = ask(serving, "jsonl")
        until(lambda: rows_below(serving.state / "payloads", "jsonl").keys() >= set(others))
    finally:
        collector.status = 200
        collector.gate.set()
    assert settled(serving, "cloudevents")["sink_up"] == 1
    until(lambda: figures(serving, "cloudevents")["buffer_bytes"] == 0)  # its last row is sent before a file is removed
    pairs = collector.pairs()
    assert all({"request", "response"} == set(pairs[name]) for name in ids)


def test_what_a_collector_will_never_take_is_dropped_and_counted(serving: Serving, far: Far) -> None:
    """With the reason; what comes after it arrives."""
    before = settled(serving, "cloudevents").get("refused", 0) if "rows" in figures(serving, "cloudevents") else 0
    far.collector.status = 400
    try:
        ask(serving, "cloudevents", 3)
        assert settled(serving, "cloudevents")["refused"] == before + 3
    finally:
        far.collector.status = 200
    ids = ask(serving, "cloudevents", 2)
    settled(serving, "cloudevents")
    assert set(ids) <= far.collector.pairs().keys()


def test_the_sink_is_told_and_only_settings_change_it(serving: Serving) -> None:
    """Whoever has the admin token cannot have rows sent elsewhere."""
    path = "/admin/models/parquet/payloads"
    told = serving.admin.get(path, headers=serving.authorized).json()
    assert told["sink"] == "parquet"
    assert serving.admin.put(path, json=told, headers=serving.authorized).status_code == 200
    answer = serving.admin.put(path, json={"sink": "kafka"}, headers=serving.authorized)
    assert (answer.status_code, "sink can only be changed in the settings" in answer.json()["error"]) == (400, True)
