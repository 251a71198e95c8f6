"""Rows as messages of a Kafka topic: the only door to confluent-kafka, which comes with the extra `kafka`."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from penstock.payloads.remote import Delivery, Fate

_ALLOWANCE_S: Final = 2.0
"""What delivery reports may take beyond the time that a message has."""
_REFUSED: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD})
_USUAL: Final = {"acks": "all", "enable.idempotence": "true", "client.id": "penstock", "log_level": "2", "linger.ms": "0"}
"""What options may change. The client would tell of each lost connection in a form of its own; the courier tells of them once."""
_ELSEWHERE: Final = {
    "bootstrap.servers": "payloads.kafka.url",
    "metadata.broker.list": "payloads.kafka.url",
    "message.timeout.ms": "payloads.timeout_s",
    "delivery.timeout.ms": "payloads.timeout_s",
}
"""What other settings say, under each name that the client has for it."""
_KEY: Final = re.compile(rb'"request_id":("(?:[^"\\]|\\.)*")')


class KafkaDestination:
    """Sends each row as a message, its request id the key; what became of it is what the brokers report. See `Destination`."""

    together = 256

    def __init__(self, url: str, options: Mapping[str, str], timeout_s: float) -> None:
        """`url` is kafka://host:port,host:port/topic. Connects in the background; raises ValueError for options that cannot be."""
        parts = urlsplit(url)
        self._topic = parts.path.strip("/")
        if not (parts.netloc and self._topic):
            raise ValueError("url is not of the form kafka://host:port,host:port/topic")
        for name in sorted(options.keys() & _ELSEWHERE.keys()):
            raise ValueError(f"its options cannot hold {name}; set {_ELSEWHERE[name]}")
        self._timeout_s = timeout_s
        ours: dict[str, str | int] = {
            "bootstrap.servers": parts.netloc,
            "message.timeout.ms": max(1, int(timeout_s * 1000)),
        }
        self._settings = {**_USUAL, **options, **ours}
        self._producer = _producer(self._settings)

    def send(self, lines: Sequence[bytes]) -> Delivery:
        """Send rows and wait for the reports of all of them; what is in doubt is to be sent again."""
        reports = _Reports(len(lines))
        for number, line in enumerate(lines):
            hear = partial(reports.hear, number)
            try:
                self._producer.produce(self._topic, line.rstrip(b"\n"), _key(line), on_delivery=hear)
            except BufferError:  # the library's own queue is full: these rows wait their turn
                reports.problem = "the queue of messages is full"
                break
            except KafkaException as error:
                hear(error.args[0], None)
            self._producer.poll(0)
        self._settle()
        if reports.is_fatal:  # this client will never send anything any more
            self.close()
            self._producer = _producer(self._settings)
        return Delivery(list(reports.fates), reports.problem)

    def close(self) -> None:
        """Give up what is left."""
        self._producer.purge()
        self._producer.flush(_ALLOWANCE_S)

    def _settle(self) -> None:
        """Wait until each message has its report; those that have none are given up, so that none arrives unnoticed later."""
        if self._producer.flush(self._timeout_s + _ALLOWANCE_S):
            self._producer.purge()
            self._producer.flush(_ALLOWANCE_S)


class _Reports:
    """What has become of rows, as far as the brokers have told."""

    def __init__(self, rows: int) -> None:
        self.fates = [Fate.AGAIN] * rows
        self.problem = "the brokers did not answer in time"
        self.is_fatal = False

    def hear(self, number: int, error: KafkaError | None, _message: Message | None) -> None:
        """Hear of one row."""
        if error is None:
            self.fates[number] = Fate.WRITTEN
            return
        self.fates[number] = Fate.REFUSED if error.code() in _REFUSED else Fate.AGAIN
        self.problem = _told(error)
        self.is_fatal = self.is_fatal or error.fatal()


def _producer(settings: Mapping[str, str | int]) -> Producer:
    try:
        return Producer(dict(settings))
    except KafkaException as error:
        raise ValueError(_told(error.args[0])) from error


def _key(line: bytes) -> bytes:
    found = _KEY.search(line)
    return b"" if found is None else str(orjson.loads(found[1])).encode()


def _told(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
