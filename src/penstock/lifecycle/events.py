"""What has lately happened to a model, and why."""

import time
from collections import deque
from typing import Final, Literal, NamedTuple

KEPT: Final = 20

Who = Literal["admin", "registry", "rollout", "server"]
"""Somebody with the token; what was found in the registry; a rollout; the server's own rules."""


class Event(NamedTuple):
    """One change."""

    at: float
    """Seconds since the epoch."""
    who: Who
    what: str
    """What changed, such as "alias champion" or "version 3"."""
    before: str
    after: str
    why: str


class Events:
    """The latest events of one model, the oldest first; each later one beyond `KEPT` drops the oldest."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=KEPT)

    def add(self, who: Who, what: str, before: object, after: object, why: str = "") -> None:
        """Keep a change that is now true, unless it repeats the last one of its kind; None stands for nothing there."""
        event = Event(time.time(), who, what, _text(before), _text(after), why)  # noqa: TID251 - shown to people
        last = next((kept for kept in reversed(self._kept) if kept.what == what), None)
        if last is None or last[1:] != event[1:]:
            self._kept.append(event)

    def latest(self) -> list[Event]:
        """Return what is kept."""
        return list(self._kept)


def _text(value: object) -> str:
    return "" if value is None else str(value)
