"""A watch over health misses no change."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from grpc_health.v1 import health_pb2 as health

from penstock.grpc.call import CallInfo
from penstock.grpc.health import Health

STATUS = health.HealthCheckResponse


@pytest.mark.asyncio
async def test_change_while_a_status_is_written_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shutdown begins before the watch waits for news again."""
    monkeypatch.setattr("penstock.grpc.health._LOOK_S", 600.0)
    told: list[Any] = []
    service = Health((), lambda: True)

    ended = asyncio.Event()

    def send(message: bytes) -> bool:
        told.append(STATUS.FromString(message).status)
        if len(told) == 1:
            service.begin_shutdown()
        else:
            service.close()
        return True

    reply: Any = SimpleNamespace(send=send, take_more=lambda: None, end=lambda _: ended.set())
    watch: Any = service.table.streams["Watch"](CallInfo(), reply)
    watch.take(b"")
    await asyncio.wait_for(ended.wait(), 10)

    assert told == [STATUS.SERVING, STATUS.NOT_SERVING]


@pytest.mark.asyncio
async def test_readiness_is_looked_at_once_for_all_who_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many they are, all hear of a change; and nobody looks once nobody watches."""
    monkeypatch.setattr("penstock.grpc.health._LOOK_S", 600.0)
    looks, ready = 0, True

    def is_ready() -> bool:
        nonlocal looks
        looks += 1
        return ready

    service, told, watches = Health((), is_ready), asyncio.Queue[Any](), list[Any]()
    reply: Any = SimpleNamespace(
        send=lambda message: not told.put_nowait(STATUS.FromString(message).status), take_more=lambda: None, end=lambda _: None
    )
    for _ in range(50):
        watches.append(service.table.streams["Watch"](CallInfo(), reply))
        watches[-1].take(b"")
    first = [await asyncio.wait_for(told.get(), 10) for _ in watches]
    before = looks
    service._look()
    quiet, ready = looks - before, False
    service._look()
    then = [await asyncio.wait_for(told.get(), 10) for _ in watches]
    for watch in watches:
        watch.cancel()
    await asyncio.sleep(0.05)
    service._look()

    assert (first, then) == ([STATUS.SERVING] * 50, [STATUS.NOT_SERVING] * 50)
    assert quiet == 1
    assert service._next_look is None
