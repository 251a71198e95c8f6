"""The client's end of a connection under test: frames by hand, and what comes back as frames."""

from typing import Any, Final, NamedTuple

from hpack import Decoder, Encoder

from penstock.http2 import frames
from penstock.http2.connection import ServerConnection
from penstock.http2.errors import Code
from penstock.http2.events import Opened, Received, Reset
from penstock.http2.fields import STATUS_OK, field
from penstock.http2.requests import Request
from penstock.http2.settings import Limits

FIELDS: Final = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/service/Method"),
    (":authority", "server"),
    ("te", "trailers"),
]
BLOCK: Final = Encoder().encode(FIELDS)
OPENING: Final = STATUS_OK + field("content-type", b"text/plain")
TRAILERS: Final = field("status", b"0")


class Seen(NamedTuple):
    """A frame that the server has sent."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def word(self) -> int:
        """The payload, or its last four bytes, as a number."""
        return int.from_bytes(self.payload[-4:], "big")


class Peer:
    """Says things to a server, and keeps what that tells its owner (`events`) and sends (`seen`)."""

    def __init__(self, **limits: int) -> None:
        self.server: Final[ServerConnection[Request]] = ServerConnection(lambda request: request, Limits(**limits))
        self.events: list[Any] = []
        self.seen: list[Seen] = []
        self.encoder: Final = Encoder()
        self.decoder: Final = Decoder()

    def greet(self, *settings: tuple[int, int]) -> "Peer":
        """Send the preface, and forget what comes back."""
        self.say(frames.PREFACE + frames.settings(settings))
        self.seen.clear()
        return self

    def say(self, data: bytes) -> list[Any]:
        """Send bytes; return the events that they bring."""
        events = self.server.receive(data)
        self.events += events
        self.look()
        return events

    def look(self) -> None:
        """Take what the server wants to send."""
        data, at = b"".join(self.server.output()), 0
        while at < len(data):
            high, low, kind, flags, stream_id = frames.HEAD.unpack_from(data, at)
            stop = at + frames.HEAD_BYTES + (high << 16 | low)
            self.seen.append(Seen(kind, flags, stream_id, data[at + frames.HEAD_BYTES : stop]))
            at = stop

    def frame(self, kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> list[Any]:
        """Send a frame."""
        return self.say(frames.frame(kind, flags, stream_id, payload))

    def ask(self, stream_id: int, *, end: bool = True, block: bytes = BLOCK) -> list[Any]:
        """Send HEADERS."""
        return self.frame(frames.HEADERS, frames.END_HEADERS | (frames.END_STREAM if end else 0), stream_id, block)

    def data(self, stream_id: int, data: bytes, *, end: bool = False) -> list[Any]:
        """Send DATA."""
        return self.frame(frames.DATA, frames.END_STREAM if end else 0, stream_id, data)

    def answer(self, stream_id: int, body: bytes = b"answer") -> None:
        """Have the owner answer."""
        self.server.answer(stream_id, OPENING, body, TRAILERS)
        self.look()

    def body(self, stream_id: int) -> bytes:
        """Return the DATA that came on a stream."""
        return b"".join(seen.payload for seen in self.seen if seen.kind == frames.DATA and seen.stream_id == stream_id)

    def has_ended(self, stream_id: int) -> bool:
        """Tell whether the server has ended a stream."""
        return any(seen.flags & frames.END_STREAM for seen in self.seen if seen.stream_id == stream_id and seen.kind <= frames.HEADERS)

    @property
    def opened(self) -> list[int]:
        """The streams that the owner has heard of."""
        return [event.stream_id for event in self.events if isinstance(event, Opened)]

    @property
    def received(self) -> list[tuple[int, bytes, bool]]:
        """The pieces of bodies that the owner has got."""
        return [(event.stream_id, event.data, event.ended) for event in self.events if isinstance(event, Received)]

    @property
    def resets(self) -> list[tuple[int, int]]:
        """The streams that the owner has lost."""
        return [tuple(event) for event in self.events if isinstance(event, Reset)]

    @property
    def goaway(self) -> Code | None:
        """The code of the last GOAWAY."""
        codes = [int.from_bytes(seen.payload[4:8], "big") for seen in self.seen if seen.kind == frames.GOAWAY]
        return Code(codes[-1]) if codes else None

    @property
    def reset_sent(self) -> dict[int, Code]:
        """The streams that the server has reset, and why."""
        return {seen.stream_id: Code(seen.word) for seen in self.seen if seen.kind == frames.RST_STREAM}

    def windows(self, stream_id: int) -> int:
        """Return by how much the server has opened a window."""
        return sum(seen.word for seen in self.seen if seen.kind == frames.WINDOW_UPDATE and seen.stream_id == stream_id)

    def assert_alive(self, stream_id: int = 1001) -> None:
        """Assert that the connection goes on: another request is answered."""
        assert not self.server.is_over
        self.ask(stream_id)
        self.answer(stream_id, b"alive")
        assert self.body(stream_id) == b"alive"
        assert self.has_ended(stream_id)
