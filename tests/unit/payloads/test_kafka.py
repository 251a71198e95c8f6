"""Rows as messages, against brokers of librdkafka's own: what they report is what counts."""

import contextlib
import time

import orjson
import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from predictions import record, tensor

from penstock.payloads import kafka
from penstock.payloads.json_rows import line_of
from penstock.payloads.kafka import KafkaDestination
from penstock.payloads.remote import Fate

PATIENCE_S = 30


@pytest.fixture(scope="module")
def brokers():
    """The addresses of three brokers in this process."""
    cluster = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "unused"})
    yield ",".join(f"{each.host}:{each.port}" for each in cluster.list_topics(timeout=PATIENCE_S).brokers.values())
    cluster.flush(1)


def lines(*ids, values=()):
    """Return rows."""
    return [line_of(record([tensor("X", values)], request_id=each)) for each in ids]


def received(brokers, topic, most):
    """Return the keys and values of the messages of a topic."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": topic, "auto.offset.reset": "earliest"})
    found, end = [], time.monotonic() + PATIENCE_S
    consumer.subscribe([topic])
    while len(found) < most and time.monotonic() < end:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            found.append((message.key().decode(), orjson.loads(message.value())))
    consumer.close()
    return found


@contextlib.contextmanager
def destination(address, topic="t", timeout_s=20.0, **options):
    """A destination."""
    made = KafkaDestination(f"kafka://{address}/{topic}", {name.replace("_", "."): value for name, value in options.items()}, timeout_s)
    yield made
    made.close()


def test_each_row_is_a_message_whose_key_is_its_request_id(brokers):
    """Each row is a message whose key is its request id."""
    sent = lines("a", 'quoted "b"\u20ac', "c")
    with destination(brokers, "whole") as far:
        assert list(far.send(sent).fates) == [Fate.WRITTEN] * 3
    found = received(brokers, "whole", 3)
    assert sorted(found, key=str) == sorted(((row["request_id"], row) for row in map(orjson.loads, sent)), key=str)


def test_a_row_that_is_too_large_is_refused_and_the_others_arrive(brokers):
    """It would be refused for ever."""
    with destination(brokers, "large", message_max_bytes="20000") as far:
        delivery = far.send([*lines("a"), *lines("b", values=[0.123] * 20_000), *lines("c")])
    assert list(delivery.fates) == [Fate.WRITTEN, Fate.REFUSED, Fate.WRITTEN]
    assert sorted(key for key, _ in received(brokers, "large", 2)) == ["a", "c"]


def test_rows_that_no_broker_takes_are_to_be_sent_again(monkeypatch):
    """In the time that they have, and nothing of them is left in the client: it has told of each."""
    told, hear = [], kafka._Reports.hear

    def noted(reports, number, error, message):
        told.append(number)
        hear(reports, number, error, message)

    monkeypatch.setattr(kafka._Reports, "hear", noted)
    with destination("127.0.0.1:9", timeout_s=0.2) as far:
        delivery = far.send(lines("a", "b"))
        assert sorted(told) == [0, 1]
        assert list(delivery.fates) == [Fate.AGAIN] * 2
        assert delivery.problem


def test_more_rows_than_the_client_may_hold_wait_their_turn(brokers):
    """More rows than the client may hold wait their turn."""
    with destination(brokers, "many", queue_buffering_max_messages="1") as far:
        delivery = far.send(lines(*map(str, range(50))))
        assert Fate.WRITTEN in delivery.fates
        assert Fate.REFUSED not in delivery.fates


@pytest.mark.parametrize("url", ["", "kafka://broker:9092", "kafka:///topic"])
def test_an_address_without_brokers_or_topic_is_refused(url):
    """An address without brokers or topic is refused."""
    with pytest.raises(ValueError, match="kafka://host:port"):
        KafkaDestination(url, {}, 1.0)


def test_an_option_that_the_client_does_not_know_is_told():
    """With its name."""
    with pytest.raises(ValueError, match=r"no\.such\.thing"):
        KafkaDestination("kafka://127.0.0.1:9/t", {"no.such.thing": "1"}, 1.0)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("bootstrap.servers", r"payloads\.kafka\.url"),
        ("metadata.broker.list", r"payloads\.kafka\.url"),
        ("message.timeout.ms", r"payloads\.timeout_s"),
        ("delivery.timeout.ms", r"payloads\.timeout_s"),
    ],
)
def test_an_option_that_another_setting_decides_is_told(name, setting):
    """With the setting: it would do nothing."""
    with pytest.raises(ValueError, match=rf"{name}; set {setting}"):
        KafkaDestination("kafka://127.0.0.1:9/t", {name: "77"}, 1.0)


def test_any_other_option_is_the_clients(brokers):
    """It is not put right behind anybody's back."""
    with destination(brokers, "lingering", linger_ms="50") as far:
        assert far._settings["linger.ms"] == "50"
        assert list(far.send(lines("a")).fates) == [Fate.WRITTEN]


def test_a_client_that_will_never_send_again_is_replaced(brokers):
    """As librdkafka asks for after an error that it calls fatal."""
    with destination(brokers, "again") as far:
        first = far._producer

        class Broken:
            def produce(self, *_arguments, on_delivery):
                on_delivery(KafkaError(KafkaError._FATAL, "on purpose", fatal=True), None)

            def poll(self, _timeout_s): ...

            def flush(self, _timeout_s):
                return 0

            def purge(self): ...

        far._producer = Broken()
        delivery = far.send(lines("a"))
        assert (list(delivery.fates), "on purpose" in delivery.problem) == ([Fate.AGAIN], True)
        assert far._producer is not first
        assert list(far.send(lines("a")).fates) == [Fate.WRITTEN]
