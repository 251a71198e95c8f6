"""Rows as KServe's events, read by the official SDK."""

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import orjson
import pytest
from backlogs import ByHand
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from predictions import record, tensor

from penstock.payloads import cloudevents
from penstock.payloads.claim import Claim
from penstock.payloads.cloudevents import EventsDestination
from penstock.payloads.courier import Errand
from penstock.payloads.events import Event, EventNames, events_of
from penstock.payloads.json_rows import line_of
from penstock.payloads.remote import Delivery, Fate, RemoteSink
from penstock.payloads.sink import Tally
from penstock.payloads.tombstones import Tombstone, write_down
from penstock.payloads.waiting import Limits

NAMES = EventNames("//here/penstock", "shop")
INPUT, OUTPUT = tensor("X", [[1.5, -2.0]]), tensor("Y", [3.25])


def read(given, names=NAMES):
    """Return the events of a record as the SDK reads them, and their bodies."""
    events = list(events_of(orjson.loads(line_of(given)), names))
    return [(from_http_event(HTTPMessage(event.headers, event.body)), event) for event in events]


def test_a_prediction_is_a_pair_of_events_with_one_id():
    """A prediction is a pair of events with one id."""
    given = record([INPUT], [OUTPUT], request_id="r-1")._replace(metadata={"x-tenant": "t"}, client_id="mine", total_us=1500)
    (request, _), (response, _) = read(given)
    for event, kind, second in ((request, "request", "19.998500"), (response, "response", "20")):
        assert event.get_id() == "r-1"
        assert event.get_type() == f"org.kubeflow.serving.inference.{kind}"
        assert event.get_source() == "//here/penstock"
        assert event.get_time().isoformat().startswith(f"2023-11-14T22:13:{second}")
        extensions = {name: event.get_extension(name) for name in ("inferenceservicename", "namespace", "component", "endpoint")}
        assert extensions == {"inferenceservicename": "m", "namespace": "shop", "component": "predictor", "endpoint": "default"}
        assert json.loads(event.get_extension("metadata")) == {"X-Tenant": ["t"]}
    assert request.get_data() == {"id": "mine", "inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP32", "data": [1.5, -2.0]}]}
    assert response.get_data() == {
        "model_name": "m",
        "model_version": "1",
        "id": "mine",
        "outputs": [{"name": "Y", "shape": [1], "datatype": "FP32", "data": [3.25]}],
    }


def test_what_json_lacks_goes_by_the_binary_extension():
    """As it would have on the wire."""
    bad = np.array([1.0, np.nan], np.float32)
    ((_, event),) = read(record([tensor("X", bad), OUTPUT, tensor("H", [0.5], "FP16")]), NAMES._replace(mode="request"))
    length = int(event.headers["inference-header-content-length"])
    heads = orjson.loads(event.body[:length])["inputs"]
    assert [head.get("parameters") for head in heads] == [{"binary_data_size": 8}, None, {"binary_data_size": 2}]
    assert event.body[length:] == bad.tobytes() + np.array([0.5], np.float16).tobytes()
    assert event.headers["content-type"] == "application/octet-stream"


def test_a_prediction_without_an_answer_has_only_a_request():
    """As KServe's have."""
    assert [event.get_type().rpartition(".")[2] for event, _ in read(record([INPUT])._replace(status="MODEL_FAILED"))] == ["request"]


@pytest.mark.parametrize(("mode", "kinds"), [("all", ["request", "response"]), ("request", ["request"]), ("response", ["response"])])
def test_the_mode_says_which_events_there_are(mode, kinds):
    """The mode says which events there are."""
    found = read(record([INPUT], [OUTPUT]), NAMES._replace(mode=mode))
    assert [event.get_type().rpartition(".")[2] for event, _ in found] == kinds


def test_a_canary_is_told_and_the_callers_own_event_id_is_kept():
    """The id of an event that the request itself was."""
    ((event, _),) = read(record()._replace(route="b", metadata={"ce-id": "theirs"}), NAMES._replace(mode="request"))
    assert (event.get_extension("endpoint"), event.get_id()) == ("canary", "theirs")


def test_no_value_can_begin_a_header_of_its_own():
    """Line breaks and what is no ASCII stand encoded."""
    ((_, event),) = read(record(request_id="a\r\nce-source: evil\u20ac"), NAMES._replace(mode="request"))
    assert event.headers["ce-id"] == "a%0D%0Ace-source: evil%E2%82%AC"
    assert all(" " <= letter <= "~" for value in event.headers.values() for letter in value)


@pytest.fixture
def collector():
    """An address, and the ids of the events that came to it."""
    ids = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            ids.append(self.headers["ce-id"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", ids
        server.shutdown()


def test_blanks_at_the_ends_of_what_a_caller_says_are_sent_encoded(collector):
    """A header can have none there: it would be sent in vain for ever, and all that comes after would wait."""
    address, ids = collector
    destination = EventsDestination(address, EventNames(" s ", " n ", "request"), 5.0)
    rows = [record(request_id=" a b  "), record()._replace(metadata={"ce-id": "theirs "}), record(request_id="next")]
    assert destination.send([line_of(row) for row in rows]) == Delivery([Fate.WRITTEN] * 3)
    assert ids == ["%20a b%20%20", "theirs%20", "next"]
    destination.close()


def test_what_cannot_be_a_message_at_all_is_refused_and_the_next_is_sent(collector, monkeypatch):
    """Whatever the reason: to send it again is in vain."""
    address, ids = collector
    heads = iter([{"ce-id": "bad "}, {"ce-id": "next"}])
    monkeypatch.setattr(cloudevents, "events_of", lambda *_: [Event(next(heads), b"")])
    destination = EventsDestination(address, NAMES, 5.0)
    assert destination.send([b"{}", b"[]"]) == Delivery([Fate.REFUSED, Fate.WRITTEN])
    assert ids == ["next"]
    destination.close()


def test_rows_that_are_deleted_while_others_are_sent_are_never_sent(collector, tmp_path):
    """A collector may take its time for each event: nothing is decided for many of them at once."""
    address, ids = collector
    connect = partial(EventsDestination, address, NAMES._replace(mode="request"), 5.0)
    sink = RemoteSink("cloudevents", Claim(tmp_path / "buffer"), Limits(1 << 20, 86_400), connect, listed=tmp_path, courier=ByHand)
    sink.write([record(request_id=name)._replace(subject=whose) for name, whose in (("a", ""), ("b", "ann"), ("c", ""))], Tally())
    assert sink._courier.carry(False) is Errand.DONE
    write_down(tmp_path, Tombstone(subjects=frozenset(["ann"]), before="~"))
    assert [sink._courier.carry(False), sink._courier.carry(False)] == [Errand.DONE, Errand.NOTHING]
    assert (ids, sink.backlog.written, sink.backlog.dropped) == (["a", "c"], 2, {"deleted": 1})
    sink.close()
