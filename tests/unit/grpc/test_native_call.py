"""A call of one message on its way in."""

from types import SimpleNamespace
from typing import Any

from penstock.grpc import messages
from penstock.grpc.call import CallInfo
from penstock.grpc.native_call import UnaryCall


def test_message_that_is_whole_before_its_call_ends_keeps_the_time_that_its_bytes_bought() -> None:
    """The end may come in a frame of its own; until then, what is here is all of the message."""
    http2 = SimpleNamespace(receives=lambda _: True, consumed=lambda *_: None)
    carrier: Any = SimpleNamespace(http2=http2, max_message_bytes=1_000)
    call = UnaryCall(carrier, 1, "identity", CallInfo(), lambda *_: None)
    data, seen = messages.prefixed(bytes(600)), list[Any]()
    for piece in (data[:300], data[300:]):
        call.received(piece, ended=False)
        seen.append(call.arriving)

    assert seen == [(0, 295), (0, 600)]
