"""What a connection tells of what it has received."""

from typing import Final, Generic, NamedTuple, TypeVar

from penstock.http2.errors import Code

H = TypeVar("H")


class Opened(Generic[H]):
    """A request has begun. One comes with every call, so it is no tuple: those are slower once they are compiled."""

    __slots__ = ("ended", "head", "stream_id")
    __match_args__ = ("stream_id", "head", "ended")

    def __init__(self, stream_id: int, head: H | None, ended: bool) -> None:
        self.stream_id: Final = stream_id
        self.head: Final = head
        """What its fields mean; None if they are longer than allowed."""
        self.ended: Final = ended
        """Whether nothing follows."""


class Received:
    """A part of a request's body is here. Its receiver says by `consumed` when it has room for more."""

    __slots__ = ("data", "ended", "stream_id")
    __match_args__ = ("stream_id", "data", "ended")

    def __init__(self, stream_id: int, data: bytes, ended: bool) -> None:
        self.stream_id: Final = stream_id
        self.data: Final = data
        self.ended: Final = ended


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
