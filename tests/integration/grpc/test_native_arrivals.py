"""Clients that begin and do not go on: cut as over HTTP, wherever they stop, and nobody else is."""

import asyncio
from typing import Any, Final

import h2.events
import pytest
from probe import PING, Probe, changed, serving, with_client
from raw_client import CALL, STREAM, RawClient, prefixed

from penstock.http2 import frames

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
HASTY: Final = {"message_timeout_s": 0.3, "min_message_bytes_per_s": 10_000}
ENHANCE_YOUR_CALM: Final = 11


def ended(client: RawClient, stream_id: int) -> list[Any]:
    """Return the ends of a stream that the client has seen."""
    return client.seen(h2.events.StreamEnded, stream_id) or client.seen(h2.events.StreamReset, stream_id)


@pytest.mark.parametrize("headers", [CALL, STREAM], ids=["unary", "stream"])
@pytest.mark.parametrize(("begun", "word"), [(b"\0", b""), (b"\0\0\0\x40\0p", b"\0")], ids=["prefix", "message"])
async def test_message_that_trickles_ends_its_call(headers: list[tuple[str, str]], begun: bytes, word: bytes) -> None:
    """A byte now and then does not extend the time; another call of the connection is answered."""

    def act(client: RawClient) -> tuple[str, str, str]:
        stream_id = client.ask(headers, begun, end=False)

        def say() -> None:
            client.h2.send_data(stream_id, word)
            client.flush()

        client.drip(say, lambda: ended(client, stream_id))
        answer = client.end_of(stream_id)
        return answer["grpc-status"], answer["grpc-message"], client.end_of(client.ask(CALL, PING))["grpc-status"]

    async with serving(Probe(), **HASTY) as address:
        status, message, other = await with_client(address, act)

    assert status == "4"
    assert "grpc.message_timeout_s" in message
    assert other == "0"


async def test_call_without_a_word_is_cut() -> None:
    """Its fields alone hold a stream."""
    async with serving(Probe(), **HASTY) as address:
        answer = await with_client(address, lambda client: client.end_of(client.ask(CALL, end=False)))

    assert answer["grpc-status"] == "4"


async def test_message_whose_call_is_not_ended_is_cut() -> None:
    """A unary call is whole with its end."""
    probe = Probe()
    async with serving(probe, **HASTY) as address:
        answer = await with_client(address, lambda client: client.end_of(client.ask(CALL, PING, end=False)))

    assert answer["grpc-status"] == "4"
    assert probe.calls == []


FRAMES: Final = {
    "data": frames.frame(frames.DATA, 0, 1, bytes(1_000))[: frames.HEAD_BYTES],
    "settings": frames.frame(frames.SETTINGS, 0, 0, bytes(600))[: frames.HEAD_BYTES],
    "fields": frames.frame(frames.HEADERS, 0, 3, bytes(1_000))[: frames.HEAD_BYTES],
}


@pytest.mark.parametrize("begun", FRAMES.values(), ids=FRAMES)
async def test_frame_that_trickles_ends_its_connection(begun: bytes) -> None:
    """Nothing behind it could be read."""

    def act(client: RawClient) -> list[int]:
        stream_id = client.ask(STREAM, PING, end=False)
        client.until(lambda: client.seen(h2.events.DataReceived, stream_id))
        client.socket.sendall(begun)
        client.drip(lambda: client.socket.sendall(b"\0"), lambda: client.is_closed)
        return [event.error_code for event in client.seen(h2.events.ConnectionTerminated)]

    probe = Probe()
    async with serving(probe, **HASTY) as address:
        assert await with_client(address, act) == [ENHANCE_YOUR_CALM]

    assert probe.cancelled == ["stream"]


async def test_field_block_that_trickles_ends_its_connection() -> None:
    """Frame by frame, each of them whole."""

    def act(client: RawClient) -> list[int]:
        client.until(lambda: client.seen(h2.events.RemoteSettingsChanged))
        client.socket.sendall(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
        client.drip(
            lambda: client.socket.sendall(frames.frame(frames.CONTINUATION, 0, 1, b"\x84")),
            lambda: client.is_closed,
        )
        return [event.error_code for event in client.seen(h2.events.ConnectionTerminated)]

    async with serving(Probe(), **HASTY) as address:
        assert await with_client(address, act) == [ENHANCE_YOUR_CALM]


async def test_stream_may_be_silent_between_its_messages() -> None:
    """For many times what a message may take."""

    def act(client: RawClient) -> str:
        stream_id = client.ask(STREAM, PING, end=False)
        client.until(lambda: len(client.seen(h2.events.PingReceived)) >= 8)
        client.h2.send_data(stream_id, PING, end_stream=True)
        client.flush()
        answer = client.end_of(stream_id)
        assert client.body_of(stream_id) == PING * 2
        return answer["grpc-status"]

    async with serving(Probe(), message_timeout_s=0.1, keepalive_s=0.1, keepalive_timeout_s=20) as address:
        assert await with_client(address, act) == "0"


async def test_sender_that_is_held_back_is_not_late() -> None:
    """Behind messages that nobody reads, half a message may wait for ever."""
    probe = Probe()

    def act(client: RawClient) -> bool:
        stream_id = client.ask(STREAM, prefixed(b"wait") + PING + PING[:7], end=False)
        client.until(lambda: len(client.seen(h2.events.PingReceived)) >= 8)
        return bool(ended(client, stream_id))

    async with serving(probe, message_timeout_s=0.1, keepalive_s=0.1, keepalive_timeout_s=20) as address:
        assert not await with_client(address, act)


async def test_calls_under_way_are_not_late() -> None:
    """A unary call that was asked in full may take its time."""
    probe = Probe()

    def act(client: RawClient) -> str:
        stream_id = client.ask(changed(grpc_timeout="1S"), prefixed(b"wait"))
        return client.end_of(stream_id)["grpc-message"]

    async with serving(probe, message_timeout_s=0.1) as address:
        message = await with_client(address, act)
        await asyncio.sleep(0)

    assert "deadline" in message
