"""Calls without a transport: a service is a table from method names to handlers that take bytes and give bytes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from penstock.domain.caller import Caller
from penstock.domain.errors import Internal, InvalidInput, PenstockError

_log = logging.getLogger(__name__)
_M = TypeVar("_M", bound=Message)

Metadata = tuple[tuple[str, str], ...]


class CallInfo(NamedTuple):
    """What a call brings beside its message."""

    metadata: Mapping[str, str] = MappingProxyType({})
    """By lower-case name; binary values are left out."""
    deadline_ns: int | None = None
    """When the caller stops waiting, on the monotonic clock."""
    peer: str = ""
    """Whom the call came from, in the transport's words."""
    caller: Caller | None = None
    """Whose key it came with; None where no keys are asked for."""


class CallReply(Protocol):
    """The far end of a call. One of the two is called, once, on the event loop, maybe before the handler returns."""

    def answer(self, message: bytes, trailing: Metadata = ()) -> None:
        """Take the answer and the metadata that follow it."""

    def fail(self, error: PenstockError, trailing: Metadata = ()) -> None:
        """Take the reason why there is no answer."""


class Cancellable(Protocol):
    """Work that a caller who leaves can call off."""

    def cancel(self) -> object:
        """Stop what has not been done yet; the reply is not called any more."""


class Ended(NamedTuple):
    """How a call has ended."""

    message: bytes = b""
    """The answer of a unary call."""
    error: PenstockError | None = None
    trailing: Metadata = ()


Handler = Callable[[bytes, CallInfo, CallReply], Cancellable | None]
"""Starts a unary call; what it returns calls it off."""


class StreamReply(Protocol):
    """The far end of a call whose messages stream. Lives on the event loop."""

    def send(self, message: bytes) -> bool:
        """Send an answer. Returns whether the next may follow now; else `StreamWork.send_more` tells when."""

    def take_more(self) -> None:
        """Hear that messages are taken again."""

    def end(self, ended: Ended) -> None:
        """End the call; what the work is told after that, it ignores."""


class StreamWork(Protocol):
    """What answers the messages of a call. Lives on the event loop."""

    def take(self, message: bytes) -> bool:
        """Take a message. Returns whether the next may follow now; else `StreamReply.take_more` tells when."""

    def finish(self) -> None:
        """Hear that no message follows."""

    def send_more(self) -> None:
        """Hear that answers are taken again."""

    def cancel(self) -> None:
        """Call off everything that was started; the reply is not called any more."""


StreamHandler = Callable[[CallInfo, StreamReply], StreamWork | None]
"""Starts a call whose messages stream; None if it has ended the call already."""


class Service(NamedTuple):
    """A gRPC service: its full name and its methods."""

    name: str
    unary: Mapping[str, Handler]
    streams: Mapping[str, StreamHandler] = {}


class AwaitedReply:
    """A reply whose end one party may await, now or once it is there."""

    __slots__ = ("_waiter", "ended")

    def __init__(self) -> None:
        self.ended: Ended | None = None
        self._waiter: asyncio.Future[None] | None = None

    def answer(self, message: bytes, trailing: Metadata = ()) -> None:
        """End with an answer."""
        self._end(Ended(message, None, trailing))

    def fail(self, error: PenstockError, trailing: Metadata = ()) -> None:
        """End with the reason why there is none."""
        self._end(Ended(b"", error, trailing))

    def _end(self, ended: Ended) -> None:
        self.ended = ended
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __await__(self) -> Generator[Any, None, Ended]:
        # What has ended by now needs no future, and no turn of the event loop.
        while self.ended is None:
            self._waiter = asyncio.get_running_loop().create_future()
            yield from self._waiter
        return self.ended


def parse(kind: type[_M], data: bytes) -> _M:
    """Return the message that the bytes hold, or raise `InvalidInput`."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidInput(f"the message is not valid: {error}") from error


def plain(kind: type[_M], function: Callable[[_M, CallInfo], Message]) -> Handler:
    """Return the handler of a function from message to message."""

    def handle(data: bytes, call: CallInfo, reply: CallReply) -> None:
        with _failing(reply):
            reply.answer(function(parse(kind, data), call).SerializeToString())

    return handle


def awaited(kind: type[_M], function: Callable[[_M, CallInfo], Awaitable[Message]]) -> Handler:
    """Return the handler of a coroutine function from message to message; calling it off cancels the coroutine."""

    async def complete(data: bytes, call: CallInfo, reply: CallReply) -> None:
        with _failing(reply):
            reply.answer((await function(parse(kind, data), call)).SerializeToString())

    def handle(data: bytes, call: CallInfo, reply: CallReply) -> "asyncio.Task[None]":
        return asyncio.create_task(complete(data, call, reply))

    return handle


def refused(error: PenstockError) -> Handler:
    """Return the handler of a method that is not offered."""

    def handle(_data: bytes, _call: CallInfo, reply: CallReply) -> None:
        reply.fail(error)

    return handle


def unexpected() -> Internal:
    """Return what a caller hears of a fault of ours: that it happened, and nothing of how."""
    return Internal("the server failed to handle the call; its log tells more")


@contextmanager
def _failing(reply: CallReply) -> Iterator[None]:
    try:
        yield
    except PenstockError as error:
        reply.fail(error)
    except Exception:
        _log.exception("a call failed unexpectedly")
        reply.fail(unexpected())
