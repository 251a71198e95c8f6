"""The far end of a call, awaited."""

import asyncio

import pytest

from penstock.domain.errors import NotFound
from penstock.grpc.call import AwaitedReply, Ended

pytestmark = pytest.mark.asyncio


async def test_end_that_is_there_needs_no_turn_of_the_loop() -> None:
    """A small model answers before anybody waits."""
    reply, turns = AwaitedReply(), []
    reply.answer(b"answer", (("key", "value"),))
    asyncio.get_running_loop().call_soon(turns.append, 1)

    assert await reply == Ended(b"answer", None, (("key", "value"),))
    assert not turns


async def test_end_that_comes_later_is_awaited() -> None:
    """A batch answers when it is done."""
    reply, error = AwaitedReply(), NotFound("nobody")
    asyncio.get_running_loop().call_soon(reply.fail, error)

    assert await reply == Ended(b"", error, ())


async def test_end_after_its_waiter_has_gone_harms_nobody() -> None:
    """A caller may leave while the model runs."""
    reply = AwaitedReply()

    async def wait() -> Ended:
        return await reply

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    reply.answer(b"answer")
    assert waiting.cancelled()
