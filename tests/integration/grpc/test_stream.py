"""ModelStreamInfer: order, errors that are answers, cancellation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest

from penstock.domain.outcome import Outcome
from penstock.domain.route import Canary, Route
from penstock.grpc.stream import MAX_IN_FLIGHT
from penstock.wire import inference as pb

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

FINAL = "triton_final_response"
TRUE_STATUS = (("triton_grpc_error", "true"),)


def request(number: int, model: str = "scores", **fields: Any) -> pb.ModelInferRequest:
    """Return a request whose answer holds its number."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="X", datatype="FP32", shape=[1, 4])
    data = np.full(4, number, np.float32).tobytes()
    return pb.ModelInferRequest(model_name=model, id=f"id-{number}", inputs=[tensor], **{"raw_input_contents": [data], **fields})


def stream(served: Any, requests: Any = None, metadata: Sequence[tuple[str, str]] = ()) -> "grpc.aio.StreamStreamCall":
    """Return a call of ModelStreamInfer."""
    method = served.channel.stream_stream(
        f"/{pb.SERVICE.full_name}/ModelStreamInfer",
        request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
        response_deserializer=pb.ModelStreamInferResponse.FromString,
    )
    return method(requests, metadata=metadata, timeout=30)


async def answers(served: Any, requests: Sequence[Any]) -> list[pb.ModelStreamInferResponse]:
    """Return the answers to the requests of one stream."""
    return [answer async for answer in stream(served, requests)]


def number(answer: pb.ModelStreamInferResponse) -> float:
    """Return the number that an answer holds."""
    return float(np.frombuffer(answer.infer_response.raw_output_contents[0], np.float32)[0])


async def test_answers_come_in_the_order_of_the_requests(served: Any) -> None:
    """C87: each echoes its id, is the last of its request and has its own data."""
    replies = await answers(served, [request(n) for n in range(5)])

    assert [reply.infer_response.id for reply in replies] == [f"id-{n}" for n in range(5)]
    assert [number(reply) for reply in replies] == [0, 1, 2, 3, 4]
    assert all(reply.infer_response.parameters[FINAL].bool_param for reply in replies)
    assert not any(reply.error_message for reply in replies)
    assert served.outcomes() == {("scores", Outcome.ANSWERED): 5}


async def test_error_is_an_answer_and_the_stream_goes_on(served: Any) -> None:
    """Each failure before execution holds its text and its id only, in its place of the order."""
    bad = [
        request(1, "nope"),
        request(2, raw_input_contents=[b""]),
        request(3, parameters={"triton_x": pb.InferParameter(bool_param=True)}),
        b"\xff\xff",
    ]

    replies = await answers(served, [request(0), *bad, request(5)])

    assert [bool(reply.error_message) for reply in replies] == [False, True, True, True, True, False]
    assert "unknown model 'nope'" in replies[1].error_message
    assert [reply.infer_response.id for reply in replies] == ["id-0", "id-1", "id-2", "id-3", "", "id-5"]
    assert all(reply.infer_response == pb.ModelInferResponse(id=reply.infer_response.id) for reply in replies[1:5])
    assert served.outcomes() == {
        ("scores", Outcome.ANSWERED): 2,
        ("scores", Outcome.CLIENT_ERROR): 2,
        ("other", Outcome.CLIENT_ERROR): 2,
    }


async def test_failure_of_the_model_tells_which_and_that_nothing_follows(serve: Any, registry: Any, models: Any) -> None:
    """What failed while it ran has model, version and the final flag."""
    models.write_configured_model(registry, "boom", models.BOOM, 0)
    tensor = pb.ModelInferRequest.InferInputTensor(name="I", datatype="INT64", shape=[1])
    data = np.array([99], np.int64).tobytes()
    message = pb.ModelInferRequest(model_name="boom", id="x", inputs=[tensor], raw_input_contents=[data])

    async with serve() as served:
        (reply,) = await answers(served, [message])

    assert "the model failed" in reply.error_message
    assert reply.infer_response.id == "x"
    assert (reply.infer_response.model_name, reply.infer_response.model_version) == ("boom", "1")
    assert reply.infer_response.parameters[FINAL].bool_param


async def test_failure_of_a_canary_names_the_canarys_version(serve: Any, registry: Any, models: Any) -> None:
    """Not the one that would answer who names none: a request that takes an arm leaves the version to the route."""
    models.write_lookup(registry, "lookup")
    tensor = pb.ModelInferRequest.InferInputTensor(name="I", datatype="INT64", shape=[1])
    data = np.array([5], np.int64).tobytes()
    message = pb.ModelInferRequest(model_name="lookup", inputs=[tensor], raw_input_contents=[data])

    async with serve() as served:
        await served.manager.routes.put("lookup", Route(canaries=(Canary("b", "challenger", 100),)), who="admin")
        (reply,) = await answers(served, [message])

    assert "the model failed" in reply.error_message
    assert reply.infer_response.model_version == "2"


async def test_true_status_ends_the_stream_at_the_first_error(served: Any) -> None:
    """With `triton_grpc_error` the answers before the error arrive, then the stream has the error's status."""
    call = stream(served, [request(0), request(1, "nope"), request(2)], TRUE_STATUS)

    first = await call.read()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()

    assert number(first) == 0
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert "unknown model" in raised.value.details()


async def test_true_status_ends_a_stream_that_the_client_keeps_open(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The end does not wait for the client's half-close, and leaves nothing in the log."""
    call = stream(served, None, TRUE_STATUS)
    await call.write(request(1, "nope"))

    assert await call.code() is grpc.StatusCode.NOT_FOUND
    await asyncio.sleep(0.05)
    assert not caplog.records


async def test_flag_for_an_empty_last_answer_changes_nothing(served: Any) -> None:
    """A model that answers once has sent its last answer already."""
    flag = {"triton_enable_empty_final_response": pb.InferParameter(bool_param=True)}

    (reply,) = await answers(served, [request(1, parameters=flag)])

    assert number(reply) == 1


async def test_stream_without_requests_is_ok(served: Any) -> None:
    """A client that only opens and closes the stream gets status OK."""
    call = stream(served, [])

    assert [reply async for reply in call] == []
    assert await call.code() is grpc.StatusCode.OK


async def test_stream_tells_its_request_id(served: Any) -> None:
    """The id given with the stream comes back with its end."""
    call = stream(served, [request(1)], (("x-request-id", "mine"),))
    [_ async for _ in call]

    assert dict(await call.trailing_metadata())["x-request-id"] == "mine"


async def test_stream_with_an_impossible_request_id_is_refused(served: Any) -> None:
    """The call fails before any request is read."""
    call = stream(served, [request(1)], (("x-request-id", "x" * 129),))

    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_requests_of_a_stream_run_at_once_up_to_a_bound(gated: Any, gate: Any) -> None:
    """The sender of many requests waits once the bound is reached; all are answered in order in the end."""
    gate.opened.clear()

    async def many() -> AsyncIterator[pb.ModelInferRequest]:
        for n in range(3 * MAX_IN_FLIGHT):
            yield request(n)

    reading = asyncio.create_task(collect(stream(gated, many())))
    await gated.in_flight(MAX_IN_FLIGHT)
    await asyncio.sleep(0.1)
    at_once = gated.ledger.in_flight
    gate.opened.set()
    replies = await reading

    assert at_once == MAX_IN_FLIGHT
    assert [number(reply) for reply in replies] == list(range(3 * MAX_IN_FLIGHT))


async def collect(call: "grpc.aio.StreamStreamCall") -> list[pb.ModelStreamInferResponse]:
    """Return all answers of a call."""
    return [reply async for reply in call]


async def test_half_closed_stream_finishes_what_it_has(gated: Any, gate: Any) -> None:
    """Requests that wait when the client closes its half are answered."""
    gate.opened.clear()
    call = stream(gated)
    for n in range(3):
        await call.write(request(n))
    await call.done_writing()
    gate.opened.set()

    assert [number(reply) for reply in await collect(call)] == [0, 1, 2]
    assert await call.code() is grpc.StatusCode.OK


async def test_cancelled_stream_cancels_its_requests(gated: Any, gate: Any) -> None:
    """What waits is never run; the ledger books each request once."""
    gate.opened.clear()
    runs = gate.runs
    call = stream(gated)
    for n in range(5):
        await call.write(request(n))
    await gated.until(lambda: gated.ledger.in_flight == 5 and gate.runs > runs)

    call.cancel()
    await gated.in_flight(0)
    gate.opened.set()
    await gated.ask("ModelInfer", request(9))

    assert gated.outcomes() == {("scores", Outcome.CANCELLED): 5, ("scores", Outcome.ANSWERED): 1}
    assert gate.runs == runs + 2


async def test_stopping_server_ends_streams_once_what_they_sent_is_answered(gated: Any, gate: Any) -> None:
    """A client that keeps its stream open does not hold up the stop; it hears where to go."""
    gate.opened.clear()
    idle, busy = stream(gated), stream(gated)
    await idle.write(request(0, "nope"))
    await idle.read()
    for n in range(2):
        await busy.write(request(n))
    await gated.in_flight(2)

    stopping = asyncio.create_task(gated.server.stop(30))
    assert await idle.code() is grpc.StatusCode.UNAVAILABLE
    gate.opened.set()
    replies = [number(await busy.read()), number(await busy.read())]
    await asyncio.wait_for(stopping, 10)

    assert replies == [0, 1]
    assert await busy.code() is grpc.StatusCode.UNAVAILABLE
    assert "shutting down" in await busy.details()


async def test_draining_server_answers_requests_with_the_reason(served: Any) -> None:
    """A stream that is open while the server shuts down hears why."""
    served.admission.draining = True

    (reply,) = await answers(served, [request(1)])

    assert "shutting down" in reply.error_message
