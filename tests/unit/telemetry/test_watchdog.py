"""The watchdog tells where the event loop stands still, and keeps nothing of what it has looked at."""

import asyncio
import linecache
import time

import pytest

from penstock.telemetry.watchdog import Watchdog


async def stall(watchdog: Watchdog) -> None:
    """Stand still until it has been noticed."""
    watchdog.start()
    while not watchdog.stalls:
        time.sleep(0.1)  # noqa: ASYNC251 - the loop is to stand still
        await asyncio.sleep(0.05)
    await asyncio.to_thread(watchdog.close)


def test_sources_of_a_stack_that_was_told_are_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Those of a server's stack are half a megabyte, for good."""
    asyncio.run(stall(Watchdog(pause_s=0.01, patience_s=0.01)))

    assert "time.sleep(0.1)" in caplog.text
    assert __file__ not in linecache.cache
