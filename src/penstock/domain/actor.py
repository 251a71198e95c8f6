"""Who acts: carried along with what is done for a caller, so that each change can say whose it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal, NamedTuple


class Actor(NamedTuple):
    """Somebody who changes something."""

    name: str
    via: Literal["key", "token", "server"]
    """What let it in. A key may have any name, "server" too: this tells it from the server itself."""


ADMIN: Final = Actor("admin", "token")
"""Whoever has the admin token; nobody else gets to management without a key."""
SERVER: Final = Actor("server", "server")
ROLLOUT: Final = Actor("rollout", "server")
_ACTING: ContextVar[Actor] = ContextVar("penstock.actor", default=ADMIN)


def acting() -> Actor:
    """Return for whom the present task acts."""
    return _ACTING.get()


@contextmanager
def act_as(actor: Actor) -> Iterator[None]:
    """Let what is done and what tasks are begun inside the context be that actor's."""
    token = _ACTING.set(actor)
    try:
        yield
    finally:
        _ACTING.reset(token)
