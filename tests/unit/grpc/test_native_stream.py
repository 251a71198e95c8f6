"""A stream of the native transport between its work and a slow client."""

from types import SimpleNamespace
from typing import Any

from penstock.grpc.call import CallInfo, StreamReply
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


def _handler(work: Any) -> Any:
    def handle(_call: CallInfo, _reply: StreamReply) -> Any:
        return work

    return handle
