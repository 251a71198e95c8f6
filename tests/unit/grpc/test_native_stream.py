"""A stream of the native transport between its work and a slow client."""

import gzip
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.domain.errors import NotFound
from penstock.grpc import messages
from penstock.grpc.call import CallInfo, Ended, StreamReply
from penstock.grpc.native_stream import StreamCall
from penstock.http2 import frames
from penstock.http2.connection import ServerConnection
from penstock.http2.settings import INITIAL_WINDOW_SIZE, Limits

WINDOW = 100
FIELDS = b"\x83\x86\x84"
"""POST, http, /"""


class Work:
    """Counts how often it may go on."""

    def __init__(self) -> None:
        self.invitations = 0

    def send_more(self) -> None:
        """Count."""
        self.invitations += 1


def test_work_goes_on_once_both_socket_and_window_take_more() -> None:
    """Neither alone is enough, and it hears of it once."""
    http2: ServerConnection[str] = ServerConnection(lambda _: "head", Limits())
    http2.receive(frames.PREFACE + frames.settings([(INITIAL_WINDOW_SIZE, WINDOW)]) + frames.frame(frames.HEADERS, 4, 1, FIELDS))
    carrier: Any = SimpleNamespace(http2=http2, is_writable=True, sent=lambda _: carrier.is_writable)
    call, work = StreamCall(carrier, 1, "identity", None), Work()
    call.start(_handler(work), CallInfo())
    told = []

    assert call.send(b"1")
    assert not call.send(bytes(WINDOW))
    call.send_more()
    told.append(work.invitations)
    carrier.is_writable = False
    http2.receive(frames.window_update(1, WINDOW))
    call.drained()
    told.append(work.invitations)
    carrier.is_writable = True
    call.send_more()
    call.send_more()

    assert (told, work.invitations) == ([0, 0], 1)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> tuple[StreamCall, list[int], list[Any]]:
    """A call whose work has ended it with an error; the streams that are over; what is to be done later."""
    http2: ServerConnection[str] = ServerConnection(lambda _: "head", Limits())
    http2.receive(frames.PREFACE + frames.settings([]) + frames.frame(frames.HEADERS, 4, 1, FIELDS))
    over, later = list[int](), list[Any]()
    loop = SimpleNamespace(call_later=lambda _seconds, *what: later.append(what) or SimpleNamespace(cancel=later.clear))
    monkeypatch.setattr("asyncio.get_running_loop", lambda: loop)
    carrier: Any = SimpleNamespace(http2=http2, end_call=over.append, max_message_bytes=1_000)
    call = StreamCall(carrier, 1, "identity", None)
    call.start(_handler(SimpleNamespace(take=lambda _: True)), CallInfo())
    call.received(messages.prefixed(b"first"), ended=False)
    call.end(Ended(error=NotFound("nope")))
    return call, over, later


def test_error_waits_for_what_the_caller_is_sending(ended: tuple[StreamCall, list[int], list[Any]]) -> None:
    """A status that overtakes a message is lost by grpc.aio's client; what comes is thrown away."""
    call, over, later = ended
    call.received(messages.prefixed(b"second"), ended=False)
    waited = list(over)
    call.received(b"", ended=True)

    assert (waited, over, later) == ([], [1], [])


def test_error_does_not_wait_for_ever(ended: tuple[StreamCall, list[int], list[Any]]) -> None:
    """A caller may keep its side open."""
    _, over, later = ended
    ((end, fields),) = later
    end(fields)

    assert over == [1]


def test_error_that_waits_is_not_replaced(ended: tuple[StreamCall, list[int], list[Any]]) -> None:
    """By a deadline that passes meanwhile, or by the end of the connection's time."""
    call, over, later = ended
    ((_, fields),) = list(later)
    call.expire()
    call.expire()

    assert (over, later) == ([1], [])
    assert any(fields in part for part in call._carrier.http2.output())


def test_messages_that_wait_for_the_work_wait_packed(ended: tuple[StreamCall, list[int], list[Any]]) -> None:
    """A watch reads one message; the others must take no more than the windows allow, and the first that cannot be unpacked ends the call."""
    taken, carrier = list[bytes](), ended[0]._carrier
    carrier.flush_soon = lambda: None
    call = StreamCall(carrier, 1, "gzip", None)
    call.start(_handler(SimpleNamespace(take=lambda message: bool(taken.append(message)), cancel=lambda: None)), CallInfo())
    bomb = gzip.compress(bytes(900))
    for data in (bomb, bomb, gzip.compress(bytes(2_000))):
        call.received(b"\x01" + len(data).to_bytes(4, "big") + data, ended=False)
    held = sum(map(len, call._messages))
    call.take_more()
    call.take_more()

    assert taken == [bytes(900)] * 2
    assert held < 150
    assert call.is_over


def _handler(work: Any) -> Any:
    def handle(_call: CallInfo, _reply: StreamReply) -> Any:
        return work

    return handle
