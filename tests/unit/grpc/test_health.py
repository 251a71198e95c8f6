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
