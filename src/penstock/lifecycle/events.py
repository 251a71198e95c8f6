"""What has lately happened to a model, and why."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from penstock.domain.actor import Actor, acting

KEPT: Final = 20

Who = Literal["admin", "registry", "rollout", "server"]
"""Whoever the present task acts for; what was found in the registry; a rollout; the server's own rules."""


class Event(NamedTuple):
    """One change."""

    at: float
    """Seconds since the epoch."""
    who: str
    """The name of a key, "admin" for the token, or one of the others of `Who`."""
    what: str
    """What changed, such as "alias champion" or "version 3"."""
    before: str
    after: str
    why: str


Heard = Callable[[Actor, Event], None]


class Events:
    """The latest events of one model, the oldest first; each later one beyond `KEPT` drops the oldest."""

    def __init__(self, heard: Heard | None = None) -> None:
        """`heard` is told of each change; of one that repeats the last of its kind only if somebody has asked for it again."""
        self._heard = heard
        self._kept: deque[Event] = deque(maxlen=KEPT)

    def add(self, who: Who, what: str, before: object, after: object, why: str = "") -> None:
        """Keep a change that is now true, unless it repeats the last one of its kind; None stands for nothing there."""
        actor = acting() if who == "admin" else Actor(who, "server")
        event = Event(time.time(), actor.name, what, _text(before), _text(after), why)  # noqa: TID251 - shown to people
        last = next((kept for kept in reversed(self._kept) if kept.what == what), None)
        is_news = last is None or last[1:] != event[1:]
        if is_news:
            self._kept.append(event)
        if self._heard is not None and (is_news or actor.via != "server"):
            self._heard(actor, event)

    def latest(self) -> list[Event]:
        """Return what is kept."""
        return list(self._kept)


def _text(value: object) -> str:
    return "" if value is None else str(value)
