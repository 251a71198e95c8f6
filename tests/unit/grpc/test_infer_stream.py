"""One call of ModelStreamInfer, without a transport and without models: what is sent when."""

import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from penstock.domain.errors import NotFound
from penstock.grpc.call import CallInfo, CallReply, Ended
from penstock.grpc.stream import MAX_IN_FLIGHT, InferStream, InferStreams


class Caller:
    """The reply of a stream: remembers what it is sent, and takes no more than it has room for."""

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.sent: list[bytes] = []
        self.ended: list[Ended] = []
        self.invitations = 0

    def send(self, message: bytes) -> bool:
        """Take an answer."""
        assert self.room, "it was not to be sent yet"
        self.sent.append(message)
        self.room -= 1
        return self.room > 0

    def take_more(self) -> None:
        """Count."""
        self.invitations += 1

    def end(self, ended: Ended) -> None:
        """Take the end."""
        self.ended.append(ended)


class Started:
    """In the place of predictions: keeps their replies, and who was called off."""

    def __init__(self) -> None:
        self.replies: list[CallReply] = []
        self.ids: list[str] = []
        self.cancelled: list[int] = []

    def infer_in_stream(self, data: bytes, _call: CallInfo, reply: CallReply, request_id: str, *, true_status: bool) -> Any:
        """Start nothing; a message `no` fails at once."""
        number = len(self.replies)
        self.replies.append(reply)
        self.ids.append(request_id)
        if data == b"no":
            reply.fail(NotFound("no")) if true_status else reply.answer(b"error")
        started = self

        class Work:
            def cancel(self) -> None:
                started.cancelled.append(number)

        return Work()


def open_stream(started: Started, caller: Caller, **metadata: str) -> InferStream:
    """Return a stream that is open."""
    predictions: Any = started
    stream = InferStreams(predictions).handle(CallInfo({"x-request-id": "it", **metadata}), caller)
    assert stream is not None
    return stream


def test_answers_keep_the_order_of_the_messages() -> None:
    """One that is early waits for those before it; each prediction has the stream's id and its own position."""
    started, caller = Started(), Caller()
    stream = open_stream(started, caller)

    assert all(stream.take(b"") for _ in range(3))
    started.replies[2].answer(b"2")
    started.replies[1].answer(b"1")
    early = list(caller.sent)
    started.replies[0].answer(b"0")

    assert early == []
    assert caller.sent == [b"0", b"1", b"2"]
    assert started.ids == ["it-0", "it-1", "it-2"]


def test_message_that_fails_at_once_waits_for_its_turn_too() -> None:
    """Though its end comes before its start has returned."""
    started, caller = Started(), Caller()
    stream = open_stream(started, caller)

    stream.take(b"")
    stream.take(b"no")
    started.replies[0].answer(b"0")
    stream.cancel()

    assert caller.sent == [b"0", b"error"]
    assert started.cancelled == []


def test_ended_prediction_is_forgotten_at_once() -> None:
    """Also one that ends before its start returns: what calls it off knows its reply, a cycle that holds the tensors."""
    left: list[Any] = []

    class Work:
        def __init__(self, reply: CallReply) -> None:
            self.reply = reply
            left.append(weakref.ref(self))

    def fail(_data: bytes, _call: CallInfo, reply: CallReply, _id: str, **_how: bool) -> Work:
        reply.answer(b"error")
        return Work(reply)

    predictions: Any = SimpleNamespace(infer_in_stream=fail)
    stream = InferStreams(predictions).handle(CallInfo(), Caller())
    assert stream is not None
    stream.take(b"")

    assert [work() for work in left] == [None]


def test_sender_waits_at_the_bound_until_an_answer_has_left() -> None:
    """It hears once that there is room."""
    started, caller = Started(), Caller()
    stream = open_stream(started, caller)

    took = [stream.take(b"") for _ in range(MAX_IN_FLIGHT)]
    started.replies[1].answer(b"1")
    before = caller.invitations
    started.replies[0].answer(b"0")

    assert took == [True] * (MAX_IN_FLIGHT - 1) + [False]
    assert (before, caller.invitations) == (0, 1)


def test_answers_that_the_caller_does_not_take_count_as_under_way() -> None:
    """Nothing is sent before there is room, and then all that is due; the end comes behind the last of them."""
    started, caller = Started(), Caller(room=1)
    stream = open_stream(started, caller)

    for _ in range(MAX_IN_FLIGHT):
        stream.take(b"no")
    took = stream.take(b"no")
    stream.finish()
    sent, ended = len(caller.sent), list(caller.ended)
    caller.room = 1_000
    stream.send_more()

    assert not took
    assert (sent, ended) == (1, [])
    assert len(caller.sent) == MAX_IN_FLIGHT + 1
    assert caller.ended == [Ended(trailing=(("x-request-id", "it"),))]


def test_true_status_ends_behind_the_answers_before_it_and_calls_off_the_rest() -> None:
    """Whatever ends later is not sent."""
    started, caller = Started(), Caller()
    stream = open_stream(started, caller, triton_grpc_error="true")

    for message in (b"", b"no", b""):
        stream.take(message)
    before = list(caller.ended)
    started.replies[0].answer(b"0")
    started.replies[2].answer(b"2")
    stream.finish()

    assert before == []
    assert caller.sent == [b"0"]
    assert started.cancelled == [2]
    assert [type(ended.error) for ended in caller.ended] == [NotFound]


def test_message_whose_start_ends_the_stream_is_called_off_too() -> None:
    """A deadline of an earlier one passes just then."""
    started, caller = Started(), Caller()
    begin = started.infer_in_stream

    def infer(*given: Any, **how: Any) -> Any:
        work = begin(*given, **how)
        if len(started.replies) == 2:
            started.replies[0].fail(NotFound("too late"))
        return work

    started.infer_in_stream = infer  # type: ignore[method-assign]
    stream = open_stream(started, caller, triton_grpc_error="true")

    stream.take(b"")
    stream.take(b"")

    assert started.cancelled == [1]
    assert len(caller.ended) == 1


def test_cancelled_stream_calls_off_what_is_not_answered() -> None:
    """And tells its reply nothing more."""
    started, caller = Started(), Caller()
    stream = open_stream(started, caller)

    for _ in range(3):
        stream.take(b"")
    started.replies[1].answer(b"1")
    stream.cancel()
    started.replies[0].answer(b"0")

    assert started.cancelled == [0, 2]
    assert (caller.sent, caller.ended) == ([], [])


@pytest.mark.parametrize("under_way", [0, 1])
def test_closed_streams_take_no_more_and_end_once_they_have_answered(under_way: int) -> None:
    """Each of them, at once if nothing is under way; those that have ended are forgotten."""
    started, caller = Started(), Caller()
    predictions: Any = started
    streams = InferStreams(predictions)
    stream = streams.handle(CallInfo(), caller)
    assert stream is not None
    for _ in range(under_way):
        stream.take(b"")

    streams.close()
    at_once, took = len(caller.ended), stream.take(b"")
    for reply in started.replies:
        reply.answer(b"0")
    streams.close()

    assert not streams.open
    assert (at_once, took, len(started.replies)) == (1 - under_way, False, under_way)
    assert [type(ended.error).__name__ for ended in caller.ended] == ["Unavailable"]


@pytest.mark.parametrize("said_all", ["before", "after"])
def test_stop_fails_only_streams_that_might_have_asked_more(said_all: str) -> None:
    """Who had said all before it gets every answer, and need not ask again."""
    started, caller = Started(), Caller()
    stream = open_stream(started, caller)
    stream.take(b"")
    for step in (stream.finish, stream.close) if said_all == "before" else (stream.close, stream.finish):
        step()
    started.replies[0].answer(b"0")

    assert caller.sent == [b"0"]
    assert [type(ended.error).__name__ for ended in caller.ended] == ["NoneType" if said_all == "before" else "Unavailable"]
