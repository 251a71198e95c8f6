"""Streams that a coroutine carries: it reads its messages and writes its answers in its own time, at the cost of a task for each call."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from penstock.grpc.call import CallInfo, Ended, StreamHandler, StreamReply, unexpected

_log = logging.getLogger(__name__)
Write = Callable[[bytes], Awaitable[None]]
Talk = Callable[[AsyncIterator[bytes], CallInfo, Write], Awaitable[Ended]]
"""Carries a call and returns its end. It is cancelled where the call is."""


def talked(talk: Talk) -> StreamHandler:
    """Return the handler of a coroutine function."""
    return lambda call, reply: Talking(talk, call, reply)


class Talking:
    """One call, and the messages that its coroutine reads."""

    def __init__(self, talk: Talk, call: CallInfo, reply: StreamReply) -> None:
        self._reply = reply
        self._unread: bytes | None = None
        """The next message; one at a time is taken."""
        self._finished = False
        self._takes_answers = True
        self._news = asyncio.Event()
        self._task: Final = asyncio.create_task(self._run(talk, call))

    def take(self, message: bytes) -> bool:
        """Keep the message until it is read."""
        self._unread = message
        self._news.set()
        return False

    def finish(self) -> None:
        """Hear that no message follows."""
        self._finished = True
        self._news.set()

    def send_more(self) -> None:
        """Hear that answers are taken again."""
        self._takes_answers = True
        self._news.set()

    def cancel(self) -> None:
        """Cancel the coroutine."""
        self._task.cancel()

    def __aiter__(self) -> "Talking":
        return self

    async def __anext__(self) -> bytes:
        while (message := self._unread) is None:
            if self._finished:
                raise StopAsyncIteration
            await self._hear()
        self._unread = None
        self._reply.take_more()
        return message

    async def _write(self, message: bytes) -> None:
        self._takes_answers = self._reply.send(message)
        while not self._takes_answers:
            await self._hear()

    async def _hear(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _run(self, talk: Talk, call: CallInfo) -> None:
        try:
            ended = await talk(self, call, self._write)
        except Exception:
            _log.exception("a stream failed unexpectedly")
            ended = Ended(error=unexpected())
        self._reply.end(ended)
