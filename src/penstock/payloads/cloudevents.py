"""Events over HTTP; the client comes with the extra `events`."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import httpx2
import orjson

from penstock.payloads.events import Event, EventNames, events_of, rfc3339
from penstock.payloads.remote import Delivery, Fate

_log = logging.getLogger(__name__)
_REFUSED: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
)
"""Answers to what this one event is; all others may be of the collector, and pass."""


class EventsDestination:
    """Posts the events of rows one after the other; see `Destination`. An event may come twice: its id and type tell."""

    together = 1

    def __init__(self, url: str, names: EventNames, timeout_s: float) -> None:
        """Connect to nothing yet; raises ValueError for an address that can never work."""
        if not httpx2.URL(url).host:
            raise ValueError("url is not of the form http://host/path")
        self._url = url
        self._names = names
        self._client = httpx2.Client(timeout=timeout_s)
        self._begun: tuple[bytes, int] = b"", 0
        """The row of which only some events have arrived, and how many."""

    def send(self, lines: Sequence[bytes]) -> Delivery:
        """Send rows in order, up to the first that does not arrive."""
        fates: list[Fate] = []
        for line in lines:
            try:
                fates.append(self._send(line))
            except httpx2.LocalProtocolError:  # the client itself: this is no message, and never will be
                _log.exception("a recorded prediction cannot be sent as events")
                fates.append(Fate.REFUSED)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                return Delivery(fates + [Fate.AGAIN] * (len(lines) - len(fates)), f"{type(error).__name__}: {error}"[:300])
        return Delivery(fates)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, line: bytes) -> Fate:
        sent = self._begun[1] if self._begun[0] == line else 0
        try:
            events = list(events_of(orjson.loads(line), self._names))
        except Exception:  # one row must not keep the others from their way
            _log.exception("a recorded prediction cannot be sent as events")
            return Fate.REFUSED
        for number, event in enumerate(events):
            if number < sent:
                continue
            if not self._post(event):
                return Fate.REFUSED
            self._begun = line, number + 1
        self._begun = b"", 0
        return Fate.WRITTEN

    def _post(self, event: Event) -> bool:
        """Return whether the collector took the event; raises `httpx2.HTTPError` if it may take it later."""
        headers = event.headers | {"ce-recordedtime": rfc3339(datetime.now(UTC))}
        answer = self._client.post(self._url, content=event.body, headers=headers)
        if answer.status_code in _REFUSED:
            return False
        if not answer.is_success:
            raise httpx2.HTTPError(f"the collector answered {answer.status_code}")
        return True
