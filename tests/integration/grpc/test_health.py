"""grpc.health.v1, as probes and load balancers ask it."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2 as health

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

SERVICE = "inference.GRPCInferenceService"
SERVING, NOT_SERVING = health.HealthCheckResponse.SERVING, health.HealthCheckResponse.NOT_SERVING
UNKNOWN = health.HealthCheckResponse.SERVICE_UNKNOWN


async def check(served: Any, service: str) -> int:
    """Return the status that Check tells."""
    method = served.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health.HealthCheckRequest.SerializeToString,
        response_deserializer=health.HealthCheckResponse.FromString,
    )
    return int((await method(health.HealthCheckRequest(service=service), timeout=20)).status)


def watch(served: Any, service: str = "") -> "grpc.aio.UnaryStreamCall":
    """Return a call of Watch."""
    method = served.channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health.HealthCheckRequest.SerializeToString,
        response_deserializer=health.HealthCheckResponse.FromString,
    )
    return method(health.HealthCheckRequest(service=service), timeout=30)


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_ready_server_is_serving(served: Any, service: str) -> None:
    """C89: the server as a whole and the inference service."""
    assert await check(served, service) == SERVING


async def test_unknown_service_is_not_found(served: Any) -> None:
    """C90, B91."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await check(served, "nope")

    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_check_follows_readiness_at_once(served: Any, service: str) -> None:
    """There is no moment at which Check tells yesterday's news."""
    served.admission.draining = True
    drained = await check(served, service)
    served.admission.draining = False

    assert drained == NOT_SERVING
    assert await check(served, service) == SERVING


async def test_list_tells_every_service(served: Any) -> None:
    """The health of all services in one call."""
    method = served.channel.unary_unary("/grpc.health.v1.Health/List", response_deserializer=health.HealthListResponse.FromString)

    answer = await method(b"", timeout=20)

    assert {name: status.status for name, status in answer.statuses.items()} == {"": SERVING, SERVICE: SERVING}


async def test_watch_tells_each_change_once(served: Any) -> None:
    """The status now, then whenever it changes."""
    call = watch(served)
    first = await call.read()
    served.admission.draining = True
    second = await call.read()
    served.admission.draining = False
    third = await call.read()

    assert [first.status, second.status, third.status] == [SERVING, NOT_SERVING, SERVING]
    call.cancel()


async def test_watch_of_an_unknown_service_stays_open(served: Any) -> None:
    """One SERVICE_UNKNOWN and silence, as the protocol wants it."""
    call = watch(served, "nope")

    assert (await call.read()).status == UNKNOWN
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call.read(), 0.6)


async def test_shutdown_is_announced_before_the_listener_closes(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All services are NOT_SERVING first thing, at once for those who watch, while calls are still taken."""
    monkeypatch.setattr("penstock.grpc.health._LOOK_S", 30.0)
    call = watch(served)
    await call.read()

    served.server.begin_shutdown()
    told = await asyncio.wait_for(call.read(), 10)

    assert told.status == NOT_SERVING
    assert await check(served, "") == NOT_SERVING
    assert await check(served, SERVICE) == NOT_SERVING


async def test_watch_does_not_hold_up_the_stop(served: Any) -> None:
    """A client that watches hears NOT_SERVING and then the end; the grace period is not waited for."""
    call = watch(served)
    await call.read()

    await asyncio.wait_for(served.server.stop(30), 10)

    assert (await call.read()).status == NOT_SERVING
    assert await call.code() is grpc.StatusCode.UNAVAILABLE
