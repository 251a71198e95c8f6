"""The listener: deadlines, callers who leave, ports, shutdown and faults."""

import asyncio
import gc
import re
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import grpc
import grpc.aio
import numpy as np
import pytest

from penstock.domain.clock import NS_PER_S, monotonic
from penstock.domain.errors import NotFound, Overloaded
from penstock.domain.outcome import Outcome
from penstock.grpc.call import CallInfo, CallReply, Service, plain
from penstock.grpc.options import GrpcOptions
from penstock.grpc.service import InferenceService
from penstock.grpc.talk import talked
from penstock.lifecycle.options import ModelOptions
from penstock.wire import inference as pb

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


def request(**fields: Any) -> pb.ModelInferRequest:
    """Return a request to the gated model."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="X", datatype="FP32", shape=[1, 4])
    data = np.ones(4, np.float32).tobytes()
    return pb.ModelInferRequest(model_name="scores", inputs=[tensor], raw_input_contents=[data], **fields)


async def test_request_whose_deadline_passes_in_the_queue_is_not_run(gated: Any, gate: Any) -> None:
    """The caller gets DEADLINE_EXCEEDED, the run never happens, and the prediction is booked once."""
    gate.opened.clear()
    runs = gate.runs
    first = asyncio.create_task(gated.ask("ModelInfer", request()))
    await gated.in_flight(1)

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await gated.rpc("ModelInfer")(request(), timeout=0.1)
    await gated.in_flight(1)
    gate.opened.set()
    await first

    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert gate.runs == runs + 1
    outcomes = gated.outcomes()
    assert outcomes.pop(("scores", Outcome.ANSWERED)) == 1
    # The library tells us that the caller has gone at the same moment at which the queue finds the request late.
    assert outcomes in [{("scores", Outcome.EXPIRED): 1}, {("scores", Outcome.CANCELLED): 1}]


async def test_deadline_in_the_parameters_expires_with_our_words(gated: Any, gate: Any) -> None:
    """Triton's `timeout` parameter, in microseconds, ends the wait although the call itself has time left."""
    gate.opened.clear()
    first = asyncio.create_task(gated.ask("ModelInfer", request()))
    await gated.in_flight(1)

    error = await gated.refusal("ModelInfer", request(parameters={"timeout": pb.InferParameter(int64_param=50_000)}))
    gate.opened.set()
    await first

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "not executed" in error.details()
    assert gated.outcomes()["scores", Outcome.EXPIRED] == 1


async def test_deadline_that_has_passed_on_arrival_is_refused(gated: Any, gate: Any) -> None:
    """B90: nothing is run."""
    runs = gate.runs

    error = await gated.refusal("ModelInfer", request(), (("penstock-deadline-ms", "0"),))

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert gate.runs == runs


async def test_deadline_of_the_call_is_the_request_s(gated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's remaining time becomes a moment on our clock; without one, the server's default holds."""
    seen: list[int | None] = []
    monkeypatch.setattr(gated.admission, "admit", lambda request: seen.append(request.deadline_ns))

    before_ns = monotonic()
    await gated.rpc("ModelInfer")(request(), timeout=15)
    await gated.rpc("ModelInfer")(request())

    bounded, unbounded = seen
    assert bounded is not None
    assert before_ns + 10 * NS_PER_S < bounded < monotonic() + 15 * NS_PER_S
    assert unbounded is None


async def test_handler_sees_the_text_of_the_metadata(server_type: Any) -> None:
    """Names are lower-case; binary values, which tracing libraries send, are left out."""
    seen: list[CallInfo] = []

    def handler(_data: bytes, call: CallInfo, reply: CallReply) -> None:
        seen.append(call)
        reply.answer(b"")

    async with serving(server_type, handler) as channel:
        probe = channel.unary_unary("/inference.GRPCInferenceService/Probe")
        await probe(b"", metadata=(("x-request-id", "mine"), ("trace-bin", b"\xff\0")), timeout=20)

    (call,) = seen
    assert call.metadata["x-request-id"] == "mine"
    assert "trace-bin" not in call.metadata
    assert call.peer.startswith("ipv4:127.0.0.1:")


async def test_caller_who_leaves_cancels_what_waits(gated: Any, gate: Any) -> None:
    """The queued request is withdrawn; its neighbours are answered."""
    gate.opened.clear()
    runs = gate.runs
    first = asyncio.create_task(gated.ask("ModelInfer", request()))
    await gated.in_flight(1)
    leaver = gated.rpc("ModelInfer")(request())
    await gated.in_flight(2)
    neighbour = asyncio.create_task(gated.ask("ModelInfer", request()))
    await gated.in_flight(3)

    leaver.cancel()
    await gated.in_flight(2)
    gate.opened.set()
    await asyncio.gather(first, neighbour)

    assert gate.runs == runs + 2
    assert gated.outcomes() == {("scores", Outcome.CANCELLED): 1, ("scores", Outcome.ANSWERED): 2}


async def test_full_queue_pushes_back(serve: Any, gate: Any) -> None:
    """RESOURCE_EXHAUSTED with the time after which a retry makes sense."""
    options = ModelOptions(lanes=1, max_batch_rows=1, queue_rows=1)
    async with serve(defaults=options, gate=gate, only=("scores",)) as served:
        gate.opened.clear()
        waiting = [asyncio.create_task(served.ask("ModelInfer", request())) for _ in range(2)]
        await served.in_flight(2)

        error = await served.refusal("ModelInfer", request())
        gate.opened.set()
        await asyncio.gather(*waiting)

    told = dict(error.trailing_metadata())
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert re.fullmatch(r"[1-9]\d*000", told["grpc-retry-pushback-ms"])
    assert told["x-request-id"]
    assert served.outcomes()["scores", Outcome.SHED] == 1


async def test_taken_port_is_an_os_error(served: Any, server_type: Any) -> None:
    """Two servers never share a port."""
    port = int(served.address.rpartition(":")[2])
    other = server_type(a_service(None), GrpcOptions())

    with pytest.raises(OSError, match=f"127.0.0.1:{port}: the port is taken"):
        await other.start("127.0.0.1", port)


async def test_port_that_another_program_listens_on_is_an_os_error(server_type: Any) -> None:
    """Not even one that allows sharing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        with pytest.raises(OSError, match="port is taken"):
            await server_type(a_service(None), GrpcOptions()).start("127.0.0.1", listener.getsockname()[1])


async def test_calls_under_way_are_answered_before_the_server_stops(gated: Any, gate: Any) -> None:
    """Within the grace period; new calls are not taken."""
    gate.opened.clear()
    waiting = asyncio.create_task(gated.ask("ModelInfer", request()))
    await gated.in_flight(1)

    stopping = asyncio.create_task(gated.server.stop(20))
    await asyncio.sleep(0.05)
    late = await gated.refusal("ServerLive", pb.ServerLiveRequest())
    gate.opened.set()
    answer = await waiting
    await stopping

    assert late.code() is grpc.StatusCode.UNAVAILABLE
    assert len(answer.raw_output_contents) == 1


async def test_calls_that_outlast_the_grace_are_cancelled(gated: Any, gate: Any) -> None:
    """The server stops in time, and the ledger knows the end of each."""
    gate.opened.clear()
    waiting = asyncio.create_task(gated.refusal("ModelInfer", request()))
    await gated.in_flight(1)

    await gated.server.stop(0.1)

    assert (await waiting).code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    await gated.in_flight(0)
    assert gated.outcomes() == {("scores", Outcome.CANCELLED): 1}


async def test_stop_without_start_does_nothing(server_type: Any) -> None:
    """A start that failed elsewhere can still be cleaned up."""
    await server_type(a_service(None), GrpcOptions()).stop(1)


async def test_handler_that_raises_is_internal(server_type: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The caller hears that it happened, the log how."""

    def handler(_data: bytes, _call: CallInfo, _reply: CallReply) -> None:
        raise RuntimeError("secret detail")

    async with serving(server_type, handler) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/inference.GRPCInferenceService/Probe")(b"", timeout=20)

    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in raised.value.details()
    assert "secret detail" in caplog.text


async def test_stream_that_raises_is_internal(server_type: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The same for calls whose messages stream."""

    async def handler(*_: Any) -> Any:
        raise RuntimeError("secret detail")

    async with serving(server_type, stream=handler) as channel:
        call = channel.stream_stream("/inference.GRPCInferenceService/ProbeStream")([b""], timeout=20)

        assert await call.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in await call.details()
    assert "secret detail" in caplog.text


async def test_refused_call_leaves_nothing_to_the_garbage_collector(server_type: Any) -> None:
    """Its message would stay until that comes by: a burst of refusals could fill the memory."""
    left: list[weakref.ref[NotFound]] = []

    def noted(error: NotFound) -> NotFound:
        left.append(weakref.ref(error))
        return error

    def refuse(_asked: Any, _call: CallInfo) -> Any:
        raise noted(NotFound("nothing here"))

    gc.disable()
    try:
        async with serving(server_type, plain(pb.ServerLiveRequest, refuse)) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary("/inference.GRPCInferenceService/Probe")(b"", timeout=20)
            async with asyncio.timeout(20):
                while left[0]() is not None:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.005)
    finally:
        gc.enable()


async def test_details_of_any_text_arrive(server_type: Any) -> None:
    """Text beyond ASCII, line ends and a message longer than a trailer are no problem."""

    def handler(_data: bytes, _call: CallInfo, reply: CallReply) -> None:
        reply.fail(Overloaded("zu viel: ü\r\nx-forged: 1 %s {} " + "日" * 5_000, retry_after_s=3))

    async with serving(server_type, handler) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/inference.GRPCInferenceService/Probe")(b"", timeout=20)

    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raised.value.details().startswith("zu viel: ü\r\nx-forged: 1 %s {} 日")
    assert dict(raised.value.trailing_metadata()) == {"grpc-retry-pushback-ms": "3000"}


def a_service(handler: Any, stream: Any = None) -> InferenceService:
    """Return something with the two attributes of a service that a listener uses."""
    table = Service("inference.GRPCInferenceService", {"Probe": handler}, {} if stream is None else {"ProbeStream": talked(stream)})
    service: Any = SimpleNamespace(table=table, ready=lambda: True, close=lambda: None)
    return cast("InferenceService", service)


@asynccontextmanager
async def serving(server_type: Any, handler: Any = None, stream: Any = None) -> AsyncIterator[grpc.aio.Channel]:
    """Serve one handler, and give a channel to it."""
    server = server_type(a_service(handler, stream), GrpcOptions())
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)
