"""A watch over health misses no change."""

import asyncio
from collections.abc import AsyncIterator
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

    async def requests() -> AsyncIterator[bytes]:
        yield b""

    async def write(message: bytes) -> None:
        told.append(STATUS.FromString(message).status)
        if len(told) == 1:
            service.begin_shutdown()
        else:
            service.close()

    await asyncio.wait_for(service.table.streams["Watch"](requests(), CallInfo(), write), 10)

    assert told == [STATUS.SERVING, STATUS.NOT_SERVING]
