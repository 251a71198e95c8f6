"""Blocking work beside the event loop, on threads that never keep the process alive."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


async def beside(work: Callable[[], _T]) -> _T:
    """Return what the work returns, or raise what it raises.

    Each call has a daemon thread of its own: a load that takes minutes must not hold up a shutdown, as `asyncio.to_thread` does.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            _report(loop, _fail, future, error)
        else:
            _report(loop, _resolve, future, result)

    threading.Thread(target=run, name="penstock-beside", daemon=True).start()
    return await future


def _report(loop: asyncio.AbstractEventLoop, tell: Callable[..., None], future: asyncio.Future[_T], what: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(tell, future, what)


def _resolve(future: asyncio.Future[_T], result: _T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[_T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
