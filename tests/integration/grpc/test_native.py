"""The native transport over sockets: what grpcio's client does not do, or does not show."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import grpc.aio
import h2.events
import pytest
from probe import PING, SERVICE, Probe, changed, serving, until, with_client
from raw_client import CALL, STREAM, RawClient, prefixed

from penstock.domain.errors import InvalidInput
from penstock.grpc.call import CallInfo, Ended
from penstock.grpc.talk import Write

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


COMPRESSED: Final = {
    "gzip": changed(grpc_encoding="gzip"),
    "deflate": changed(grpc_encoding="deflate"),
}
REFUSALS: Final = {
    "no-message": (CALL, b"", "12", "there is none"),
    "two-messages": (CALL, PING + PING, "12", "there is another"),
    "half-a-message": (CALL, PING[:-1], "3", "middle of a message"),
    "half-a-prefix": (CALL, PING[:3], "3", "middle of a message"),
    "message-above-the-limit": (CALL, b"\0\0\1\x86\xa1", "8", "100001 bytes"),
    "flag-that-is-none": (CALL, prefixed(b"ping", 2), "3", "first byte"),
    "compressed-without-saying-how": (CALL, prefixed(gzip.compress(b"ping"), 1), "3", "grpc-encoding"),
    "compressed-by-another-way": (changed(grpc_encoding="br"), PING, "12", "identity, gzip, deflate"),
    "not-gzip": (COMPRESSED["gzip"], prefixed(b"ping", 1), "3", "not valid gzip"),
    "half-a-gzip": (COMPRESSED["gzip"], prefixed(gzip.compress(b"ping" * 99)[:-9], 1), "3", "too early"),
    "gzip-and-more": (COMPRESSED["gzip"], prefixed(gzip.compress(b"ping") + b"more", 1), "3", "too late"),
    "bomb": (COMPRESSED["gzip"], prefixed(gzip.compress(bytes(50_000_000)), 1), "8", "once unpacked"),
    "bomb-of-deflate": (COMPRESSED["deflate"], prefixed(zlib.compress(bytes(50_000_000)), 1), "8", "once unpacked"),
    "unknown-method": (changed(_path="/a.B/C"), PING, "12", "'/a.B/C'"),
    "timeout-without-unit": (changed(grpc_timeout="10"), PING, "3", "grpc-timeout"),
    "timeout-of-nine-digits": (changed(grpc_timeout="123456789n"), PING, "3", "grpc-timeout"),
    "metadata-above-the-limit": (changed(x_long="x" * 20_000), PING, "8", "max_metadata_bytes"),
}


async def test_each_wrong_call_is_refused_in_its_own_words() -> None:
    """On its stream alone: all of them go over one connection."""

    def act(client: RawClient) -> dict[str, tuple[str, bool]]:
        told = {}
        for name, (headers, body, status, text) in REFUSALS.items():
            answer = client.end_of(client.ask(headers, body))
            told[name] = answer["grpc-status"], text in answer["grpc-message"].replace("%27", "'"), status
        assert client.end_of(client.ask(body=PING))["grpc-status"] == "0"
        return told

    async with serving(Probe()) as address:
        told = await with_client(address, act)

    assert {name: (status, said) for name, (status, said, _) in told.items()} == {
        name: (status, True) for name, (_, _, status, _) in REFUSALS.items()
    }


async def test_small_limits_hold_for_messages_in_one_piece() -> None:
    """As for those that come in many."""

    def act(client: RawClient) -> list[str]:
        return [client.end_of(client.ask(CALL, prefixed(bytes(size))))["grpc-status"] for size in (10, 11)]

    async with serving(Probe(), max_message_bytes=10) as address:
        assert await with_client(address, act) == ["0", "8"]


@pytest.mark.parametrize(("headers", "status"), [(changed(_method="GET"), "405"), (changed(content_type="application/json"), "415")])
async def test_what_is_no_call_gets_a_status_of_http(headers: list[tuple[str, str]], status: str) -> None:
    """So that tools of HTTP understand it."""
    async with serving(Probe()) as address:
        answer = await with_client(address, lambda client: client.end_of(client.ask(headers)))

    assert answer[":status"] == status


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compressed_messages_are_unpacked(encoding: str) -> None:
    """And plain ones are taken beside them."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    body = prefixed(pack(b"packed"), 1) + prefixed(b"plain")
    headers = [*STREAM, ("grpc-encoding", encoding)]

    def act(client: RawClient) -> bytes:
        stream_id = client.ask(headers, body)
        client.end_of(stream_id)
        return client.body_of(stream_id)

    async with serving(Probe()) as address:
        assert await with_client(address, act) == prefixed(b"packed") + prefixed(b"plain")


async def test_call_knows_its_metadata_its_peer_and_its_deadline() -> None:
    """Without what belongs to the transport, and without binary values."""
    probe = Probe()
    headers = changed(grpc_timeout="99S", x_request_id="mine", trace_bin="AAEC", user_agent="raw")

    async with serving(probe) as address:
        answer = await with_client(address, lambda client: client.end_of(client.ask(headers, PING)))
        await with_client(address, lambda client: client.end_of(client.ask(CALL, PING)))

    bounded, unbounded = probe.calls
    assert dict(bounded.metadata) == {"x-request-id": "mine", "user-agent": "raw"}
    assert bounded.peer.startswith("ipv4:127.0.0.1:")
    assert bounded.deadline_ns is not None
    assert unbounded.deadline_ns is None
    assert (answer["said"], answer["raw-bin"]) == ("??", "YWJj")


@pytest.mark.parametrize(("headers", "kind"), [(CALL, "unary"), (STREAM, "stream")])
async def test_deadline_ends_a_call_and_calls_it_off(headers: list[tuple[str, str]], kind: str) -> None:
    """The server keeps time itself: a client may have lost its own."""
    probe = Probe()
    timed = [*headers, ("grpc-timeout", "50m")]

    def act(client: RawClient) -> dict[str, str]:
        client.ask([*headers, ("grpc-timeout", "50S")], prefixed(b"wait"), end=kind == "unary")
        return client.end_of(client.ask(timed, prefixed(b"wait"), end=kind == "unary"))

    async with serving(probe) as address:
        answer = await with_client(address, act)
        await until(lambda: len(probe.cancelled) == 2)

    assert answer["grpc-status"] == "4"
    assert probe.cancelled == [kind, kind]


@pytest.mark.parametrize("how", ["reset", "leave"])
async def test_client_that_leaves_calls_off_what_it_asked(how: str) -> None:
    """By RST_STREAM for one call, by its connection for all."""
    probe = Probe()

    def act(client: RawClient) -> None:
        for number, headers in enumerate((CALL, STREAM), 1):
            stream_id = client.ask(headers, prefixed(b"wait"), end=headers is CALL)
            client.until(lambda: len(probe.calls) == number, reads=False)  # noqa: B023
            if how == "reset":
                client.h2.reset_stream(stream_id, 8)
                client.flush()
        client.until(lambda: how == "leave" or len(probe.cancelled) == 2, reads=False)

    async with serving(probe) as address:
        await with_client(address, act)
        await until(lambda: sorted(probe.cancelled) == ["stream", "unary"])


async def test_stream_that_is_not_read_stops_its_handler_and_ends() -> None:
    """A window that does not open holds the handler back at once, and after a while ends the stream; others go on."""
    probe = Probe()

    def act(client: RawClient) -> int:
        stream_id = client.ask(STREAM, prefixed(b"many"))
        client.until(lambda: client.seen(h2.events.StreamReset, stream_id))
        assert client.end_of(client.ask(CALL, prefixed(b"")))["grpc-status"] == "0"
        assert probe.cancelled == ["stream"], "before the connection ends, which calls off everything"
        return len(client.body_of(stream_id))

    async with serving(probe, write_timeout_s=1) as address:
        sent = await with_client(address, act, window=25_000)

    assert sent == 25_000
    assert probe.written == 2


async def test_socket_that_is_not_read_is_cut() -> None:
    """The client's windows are wide open, and it takes nothing from its socket."""
    probe = Probe()

    def act(client: RawClient) -> None:
        client.h2.increment_flow_control_window(1 << 30)
        for _ in range(50):
            client.ask(STREAM, prefixed(b"many") * 10, end=False)
        client.until(lambda: probe.calls and len(probe.cancelled) == len(probe.calls), reads=False)

    async with serving(probe, write_timeout_s=0.5) as address:
        await with_client(address, act, window=1 << 30)

    assert probe.written < 50 * 1000 / 2


async def test_slow_preface_is_cut() -> None:
    """Who connects and says nothing, or not enough, is not waited for."""
    async with serving(Probe(), handshake_timeout_s=0.2) as address:
        host, _, port = address.rpartition(":")
        for first in (b"", b"PRI * HTTP/2.0"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(first)
            async with asyncio.timeout(20):
                await reader.read()
            writer.close()


async def test_client_that_has_vanished_is_found_out() -> None:
    """A half-open connection: it owes the answer to a ping, and what it asked for is called off."""
    probe = Probe()

    def act(client: RawClient) -> None:
        client.ask(CALL, prefixed(b"wait"))
        client.until(lambda: probe.cancelled, reads=False)

    async with serving(probe, keepalive_s=0.2, keepalive_timeout_s=0.2) as address:
        await with_client(address, act)

    assert probe.cancelled == ["unary"]


async def test_idle_client_that_answers_pings_stays() -> None:
    """Its sign of life is enough."""

    def act(client: RawClient) -> dict[str, str]:
        client.until(lambda: len(client.seen(h2.events.PingReceived)) >= 3)
        return client.end_of(client.ask(CALL, PING))

    async with serving(Probe(), keepalive_s=0.1, keepalive_timeout_s=5) as address:
        assert (await with_client(address, act))["grpc-status"] == "0"


async def test_connections_above_the_limit_are_refused() -> None:
    """With GOAWAY; one that closes makes room."""
    async with serving(Probe(), max_connections=1) as address:

        def second(client: RawClient) -> list[Any]:
            other = RawClient(address)
            other.until_closed()
            other.close()
            assert client.end_of(client.ask(CALL, PING))["grpc-status"] == "0"
            return [event.error_code for event in other.seen(h2.events.ConnectionTerminated)]

        assert await with_client(address, second) == [11]


async def test_aged_connection_is_left_without_losing_a_call() -> None:
    """The client comes back on a new one; what is under way on the old one is cut off after its grace."""
    probe = Probe()
    ages = {"max_connection_age_s": 0.3, "max_connection_age_grace_s": 0.3}
    async with serving(probe, **ages) as address, grpc.aio.insecure_channel(address) as channel:
        waiting = channel.unary_unary(f"/{SERVICE}/Probe")(b"wait")
        peers = set()
        while len(peers) < 3:
            assert await channel.unary_unary(f"/{SERVICE}/Probe")(b"ping", timeout=20) == b"ping"
            peers.add(probe.calls[-1].peer)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await waiting

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert probe.cancelled == ["unary"]


async def test_requests_of_a_stream_are_held_back_while_nobody_reads_them() -> None:
    """The window opens as messages are read, so a sender cannot fill the memory."""
    probe = Probe()

    def act(client: RawClient) -> int:
        stream_id = client.ask(STREAM, prefixed(b"wait"), end=False)
        client.until(lambda: probe.calls, reads=False)
        client.until(lambda: client.seen(h2.events.RemoteSettingsChanged))
        sent = 0
        while room := min(client.h2.local_flow_control_window(stream_id), 16_384):
            client.h2.send_data(stream_id, prefixed(bytes(room - 5)) if room > 5 else bytes(room))
            sent += room
            client.flush()
        client.h2.ping(b"12345678")
        client.flush()
        client.until(lambda: client.seen(h2.events.PingAckReceived))
        assert client.h2.local_flow_control_window(stream_id) == 0
        return sent

    async with serving(probe) as address:
        assert 0 < await with_client(address, act) <= 1 << 20


async def test_error_behind_messages_stands_in_the_trailers() -> None:
    """A stream that has begun to answer ends with its status; one that has not consists of it."""

    async def handler(requests: AsyncIterator[bytes], _call: CallInfo, write: Write) -> Ended:
        async for message in requests:
            await write(message)
        return Ended(error=InvalidInput("100 % wrong"))

    probe = Probe()
    probe.stream = handler  # type: ignore[method-assign]

    def act(client: RawClient) -> list[tuple[int, str, str]]:
        told = []
        for body in (PING, b""):
            stream_id = client.ask(STREAM, body)
            answer = client.end_of(stream_id)
            told.append((len(client.seen(h2.events.TrailersReceived, stream_id)), answer["grpc-status"], answer["grpc-message"]))
        return told

    async with serving(probe) as address:
        assert await with_client(address, act) == [(1, "3", "100 %25 wrong"), (0, "3", "100 %25 wrong")]


@pytest.mark.parametrize("path", [f"/{SERVICE}/Refusing", "/a.B/C"])
@pytest.mark.parametrize("words", [None, b"\0", PING])
async def test_refusal_comes_whether_or_not_the_caller_says_something(path: str, words: bytes | None) -> None:
    """It waits a moment, so that it does not overtake the first message, and no longer."""

    async def refuse(_requests: AsyncIterator[bytes], _call: CallInfo, _write: Write) -> Ended:
        return Ended(error=InvalidInput("never"))

    probe = Probe()
    probe.stream = refuse  # type: ignore[method-assign]
    headers = changed(_path=path.replace("Refusing", "ProbeStream"))

    async with serving(probe) as address:
        answer = await with_client(address, lambda client: client.end_of(client.ask(headers, words, end=False)))

    assert answer["grpc-status"] == ("3" if "Refusing" in path else "12")


async def test_rapid_resets_end_the_connection() -> None:
    """Every call was called off, and another client is served."""
    probe = Probe()

    def act(client: RawClient) -> list[Any]:
        for _ in range(400):
            stream_id = client.h2.get_next_available_stream_id()
            client.h2.send_headers(stream_id, CALL)
            client.h2.send_data(stream_id, prefixed(b"wait"), end_stream=True)
            client.h2.reset_stream(stream_id, 8)
        client.flush()
        client.until_closed()
        return [event.error_code for event in client.seen(h2.events.ConnectionTerminated)]

    async with serving(probe) as address:
        assert await with_client(address, act) == [11]
        answer = await with_client(address, lambda client: client.end_of(client.ask(CALL, PING)))

    assert len(probe.cancelled) == len(probe.calls) - 1
    assert len(probe.cancelled) < 400
    assert answer["grpc-status"] == "0"
