"""What a connection tells of what it has received."""

from typing import Generic, NamedTuple, TypeVar

from penstock.http2.errors import Code

H = TypeVar("H")


class Opened(NamedTuple, Generic[H]):
    """A request has begun."""

    stream_id: int
    head: H | None
    """What its fields mean; None if they are longer than allowed."""
    ended: bool
    """Whether nothing follows."""


class Received(NamedTuple):
    """A part of a request's body is here. Its receiver says by `consumed` when it has room for more."""

    stream_id: int
    data: bytes
    ended: bool


class Reset(NamedTuple):
    """A stream is over before its answer: the peer has left, or has broken a rule."""

    stream_id: int
    code: Code | int


class Drained(NamedTuple):
    """All that was sent on a stream so far has passed the peer's windows."""

    stream_id: int


class Ponged(NamedTuple):
    """The peer has answered a PING."""

    payload: bytes


class Over(NamedTuple):
    """The connection is over, because of the peer; what is to be written says why, and nothing more is read."""

    code: Code
    message: str


Event = Opened[H] | Received | Reset | Drained | Ponged | Over
