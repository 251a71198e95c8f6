"""From settings to sinks: what is missing or cannot work is told before the server starts."""

import sys
import tracemalloc

import msgspec
import numpy as np
import pytest
from predictions import ended, tensor
from test_remote_sink import PATIENCE_S, Far, hasty

from penstock.config.settings import Settings
from penstock.domain.start import StartError
from penstock.payloads.claim import Claim
from penstock.payloads.options import PayloadOptions, RecordingOptions
from penstock.payloads.recorder import Recorder
from penstock.payloads.recording import Surroundings
from penstock.payloads.remote import Delivery, Fate, RemoteSink
from penstock.payloads.sinks import Sinks
from penstock.payloads.waiting import Limits

ADDRESSES = {
    "object_store": {"url": "s3://bucket/prefix"},
    "kafka": {"url": "kafka://127.0.0.1:9/topic"},
    "cloudevents": {"url": "http://127.0.0.1:9/events"},
}
MODULES = {"parquet": "pyarrow", "object_store": "obstore", "kafka": "confluent_kafka", "cloudevents": "httpx2"}
EXTRAS = {"parquet": "parquet", "object_store": "s3", "kafka": "kafka", "cloudevents": "events"}


def options_of(**given):
    """Return options."""
    return msgspec.convert(ADDRESSES | given, PayloadOptions)


@pytest.mark.parametrize("name", ["jsonl", *MODULES])
def test_each_sink_can_be_made(tmp_path, name):
    """And what is only tried leaves nothing claimed."""
    sinks = Sinks(options_of(), tmp_path)
    sinks.check([name])
    assert not (tmp_path / "payloads" / "buffer").exists()
    sink = sinks.made(name)
    assert sink.name == name
    assert (sink.backlog is None) == (name in {"jsonl", "parquet"})
    sink.close()


@pytest.mark.parametrize("name", MODULES)
def test_a_missing_extra_is_told_before_the_start(tmp_path, monkeypatch, name):
    """With what to install."""
    for module in [each for each in sys.modules if each.startswith(("penstock.payloads.", f"{MODULES[name]}."))]:
        if module != "penstock.payloads.sinks":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, MODULES[name], None)
    with pytest.raises(StartError, match=rf"needs the extra `{EXTRAS[name]}`: pip install 'penstock\[{EXTRAS[name]}\]'"):
        Sinks(options_of(), tmp_path).check([name])


def test_parquet_in_a_bucket_needs_both_extras(tmp_path, monkeypatch):
    """The one that is missing is named."""
    for module in [each for each in sys.modules if each.startswith("penstock.payloads.parquet")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    options = options_of(object_store=ADDRESSES["object_store"] | {"format": "parquet"})
    with pytest.raises(StartError, match="needs the extra `parquet`"):
        Sinks(options, tmp_path).check(["object_store"])


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_missing_address_is_told_before_the_start(tmp_path, name):
    """With the key."""
    with pytest.raises(StartError, match=rf"see payloads\.{name}"):
        Sinks(options_of(**{name: {}}), tmp_path).check([name])


def test_an_option_that_kafka_does_not_know_is_told_before_the_start(tmp_path):
    """With its name."""
    options = options_of(kafka=ADDRESSES["kafka"] | {"options": {"no.such": "1"}})
    with pytest.raises(StartError, match=r"no\.such.*see payloads\.kafka"):
        Sinks(options, tmp_path).check(["kafka"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, set()),
        ({"defaults": {"payloads": {"sample": 1.0}}}, {"jsonl"}),
        ({"defaults": {"payloads": {"sample": 1.0, "sink": "kafka"}}}, {"kafka"}),
        ({"models": {"m": {"payloads": {"sample": 1.0, "sink": "parquet"}}}, "payloads": {"sink": "cloudevents"}}, {"parquet"}),
        ({"models": {"m": {"payloads": {"sample": 1.0}}}, "payloads": {"sink": "cloudevents"}}, {"cloudevents"}),
    ],
)
def test_the_sinks_that_settings_ask_for_are_known_before_the_start(given, expected):
    """No others are tried."""
    assert msgspec.convert(given, Settings).payload_sinks == expected


def test_memory_stays_under_the_cap_while_a_destination_is_dead(tmp_path):
    """200 MB of predictions leave 4 MB in the queue, 4 MB on the disk, and next to nothing else."""
    dead = Far(lambda lines: Delivery([Fate.AGAIN] * len(lines), "on purpose"))
    heard = {}
    options = PayloadOptions(max_bytes=4_000_000, flush_s=0.001)
    recorder = Recorder(
        lambda _: RemoteSink("far", Claim(tmp_path / "buffer"), Limits(4_000_000, 86_400), lambda: dead, listed=tmp_path, courier=hasty),
        options,
        tmp_path,
        heard.__setitem__,
        surroundings=Surroundings(),
        redacted=set(),
    )
    recorder.follow("m", RecordingOptions(sample=1.0))
    recorder.start()
    tracemalloc.start()
    for number in range(2000):
        heard["m"](ended(str(number), [tensor("X", np.full((1, 12_500), number, np.float64), "FP64")]), "OK")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    recorder.close(PATIENCE_S)
    writer = recorder.writers["jsonl"]
    assert peak < 30_000_000
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jsonl")) <= 4_000_000
    assert writer.intake.accepted == 2000 == writer.written + sum(writer.dropped.values()) + writer.waiting
    assert writer.dropped.keys() <= {"queue_full", "buffer_full"}
