"""ModelStreamInfer over the native transport: no tasks, and nothing piles up, whoever is slow."""

import asyncio
from typing import Any, Final

import h2.events
import numpy as np
import pytest
from probe import Probe, changed, serving, with_client
from raw_client import STREAM, RawClient, prefixed

from penstock.domain.outcome import Outcome
from penstock.grpc.stream import MAX_IN_FLIGHT
from penstock.grpc.transport import NativeServer
from penstock.lifecycle.options import ModelOptions
from penstock.wire import inference as pb

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
INFER: Final = changed(_path=f"/{pb.SERVICE.full_name}/ModelStreamInfer")
MANY: Final = 4 * MAX_IN_FLIGHT


@pytest.fixture
def server_type() -> type[NativeServer]:
    """Serve over this transport alone."""
    return NativeServer


def question(number: int, model: str = "scores") -> bytes:
    """Return a message whose answer has its number for an id."""
    tensor = pb.ModelInferRequest.InferInputTensor(name="X", datatype="FP32", shape=[1, 4])
    data = np.full(4, number, np.float32).tobytes()
    return prefixed(pb.ModelInferRequest(model_name=model, id=str(number), inputs=[tensor], raw_input_contents=[data]).SerializeToString())


def ids(body: bytes) -> list[str]:
    """Return the ids of the answers in a body."""
    found, at = [], 0
    while at < len(body):
        size = int.from_bytes(body[at + 1 : at + 5], "big")
        found.append(pb.ModelStreamInferResponse.FromString(body[at + 5 : at + 5 + size]).infer_response.id)
        at += 5 + size
    return found


async def test_streams_and_their_messages_need_no_tasks(gated: Any, gate: Any) -> None:
    """As many run with ten streams open and messages under way as with none."""
    gate.opened.clear()
    before = asyncio.all_tasks()

    def act(client: RawClient) -> list[list[str]]:
        streams = [client.ask(INFER, question(n) + question(n), end=False) for n in range(10)]
        client.until(lambda: gated.ledger.in_flight == 20, reads=False)
        during.update(asyncio.all_tasks(loop))
        gate.opened.set()
        for stream_id in streams:
            client.h2.end_stream(stream_id)
        client.flush()
        assert all(client.end_of(stream_id)["grpc-status"] == "0" for stream_id in streams)
        return [ids(client.body_of(stream_id)) for stream_id in streams]

    during: set[Any] = set()
    loop = asyncio.get_running_loop()

    assert await with_client(gated.address, act) == [[str(n), str(n)] for n in range(10)]
    assert during == before


async def test_answers_that_are_not_read_stop_the_predictions(serve: Any) -> None:
    """A window that does not open holds back answers, and behind 64 of them the messages; once it opens, all are answered in order."""

    def act(client: RawClient) -> tuple[int, list[str]]:
        client.until(lambda: client.seen(h2.events.RemoteSettingsChanged))
        stream_id = client.ask(INFER, b"".join(map(question, range(MANY))))
        client.until(lambda: sum(served.ledger.received.values()) >= MAX_IN_FLIGHT and not served.ledger.in_flight, reads=False)
        client.h2.ping(b"12345678")
        client.flush()
        client.until(lambda: client.seen(h2.events.PingAckReceived))
        received = served.ledger.received[("grpc", "scores")]
        client.h2.increment_flow_control_window(1 << 20, stream_id)
        client.flush()
        client.end_of(stream_id)
        return received, ids(client.body_of(stream_id))

    async with serve(defaults=ModelOptions(threads=1, warmup="off", slo_ms=60_000)) as served:
        received, answered = await with_client(served.address, act, window=1_000)

    assert MAX_IN_FLIGHT <= received < MAX_IN_FLIGHT + 20
    assert answered == [str(n) for n in range(MANY)]
    assert served.outcomes() == {("scores", Outcome.ANSWERED): MANY}


async def test_messages_beyond_the_bound_do_not_open_the_window(gated: Any, gate: Any) -> None:
    """The sender of more than is taken is held back by the window of its stream, and goes on once answers have left."""
    gate.opened.clear()
    bad = prefixed(b"\xff" * 16_000)

    def act(client: RawClient) -> list[str]:
        client.until(lambda: client.seen(h2.events.RemoteSettingsChanged))
        stream_id = client.ask(INFER, b"".join(map(question, range(MAX_IN_FLIGHT))), end=False)
        while client.h2.local_flow_control_window(stream_id) > len(bad):
            client.h2.send_data(stream_id, bad)
            client.flush()
        client.h2.ping(b"12345678")
        client.flush()
        client.until(lambda: client.seen(h2.events.PingAckReceived))
        assert client.h2.local_flow_control_window(stream_id) < len(bad)
        assert gated.ledger.in_flight == MAX_IN_FLIGHT
        gate.opened.set()
        client.until(lambda: client.h2.local_flow_control_window(stream_id) > len(bad))
        client.h2.end_stream(stream_id)
        client.flush()
        client.end_of(stream_id)
        return ids(client.body_of(stream_id))

    answered = await with_client(gated.address, act)

    assert answered[:MAX_IN_FLIGHT] == [str(n) for n in range(MAX_IN_FLIGHT)]
    assert gated.outcomes() == {("scores", Outcome.ANSWERED): MAX_IN_FLIGHT, ("other", Outcome.CLIENT_ERROR): len(answered) - MAX_IN_FLIGHT}


async def test_socket_that_is_read_again_gets_everything() -> None:
    """Streams that had to wait for it go on, all of them."""
    probe = Probe()

    def act(client: RawClient) -> set[int]:
        client.h2.increment_flow_control_window(1 << 30)
        streams = [client.ask(STREAM, prefixed(b"many") * 10) for _ in range(10)]
        client.until(lambda: 0 < probe.written < 10_000, reads=False)
        for stream_id in streams:
            client.end_of(stream_id)
        return {len(client.body_of(stream_id)) for stream_id in streams}

    async with serving(probe) as address:
        assert await with_client(address, act, window=1 << 30) == {1_000 * 10_005}
