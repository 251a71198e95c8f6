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
_USUAL: Final = {"acks": "all", "enable.idempotence": "true", "client.id": "penstock", "log_level": "2"}
"""What options may change. The client would tell of each lost connection in a form of its own; the courier tells of them once."""
_KEY: Final = re.compile(rb'"request_id":("(?:[^"\\]|\\.)*")')


class KafkaDestination:
    """Sends each row as a message, its request id the key; what became of it is what the brokers report. See `Destination`."""

    def __init__(self, url: str, options: Mapping[str, str], timeout_s: float) -> None:
        """`url` is kafka://host:port,host:port/topic. Connects in the background; raises ValueError for options that are not known."""
        parts = urlsplit(url)
        self._topic = parts.path.strip("/")
        if not (parts.netloc and self._topic):
            raise ValueError("url is not of the form kafka://host:port,host:port/topic")
        self._timeout_s = timeout_s
        settings = {**_USUAL, **options}
        try:
            self._producer = Producer(
                {**settings, "bootstrap.servers": parts.netloc, "message.timeout.ms": max(1, int(timeout_s * 1000)), "linger.ms": "0"}
            )
        except KafkaException as error:
            raise ValueError(_told(error.args[0])) from error

    def send(self, lines: Sequence[bytes]) -> Delivery:
        """Send rows and wait for the reports of all of them; what is in doubt is to be sent again."""
        fates, problems = [Fate.AGAIN] * len(lines), [""]
        for number, line in enumerate(lines):
            report = partial(_reported, fates, problems, number)
            try:
                self._producer.produce(self._topic, line.rstrip(b"\n"), _key(line), on_delivery=report)
            except BufferError:  # the library's own queue is full: these rows wait their turn
                problems[0] = "the queue of messages is full"
                break
            except KafkaException as error:
                report(error.args[0], None)
            self._producer.poll(0)
        self._settle()
        return Delivery(list(fates), problems[0] or "the brokers did not answer in time")

    def close(self) -> None:
        """Give up what is left."""
        self._producer.purge()
        self._producer.flush(_ALLOWANCE_S)

    def _settle(self) -> None:
        """Wait until each message has its report; those that have none are given up, so that none arrives unnoticed later."""
        if self._producer.flush(self._timeout_s + _ALLOWANCE_S):
            self._producer.purge()
            self._producer.flush(_ALLOWANCE_S)


def _reported(fates: list[Fate], problems: list[str], number: int, error: KafkaError | None, _message: Message | None) -> None:
    if error is None:
        fates[number] = Fate.WRITTEN
        return
    fates[number] = Fate.REFUSED if error.code() in _REFUSED else Fate.AGAIN
    problems[0] = _told(error)


def _key(line: bytes) -> bytes:
    found = _KEY.search(line)
    return b"" if found is None else str(orjson.loads(found[1])).encode()


def _told(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
