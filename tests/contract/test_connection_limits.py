"""How long a connection may keep the server waiting, how many there may be, and how they end when the server does."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from cases import one
from connection import (
    CHUNKED,
    GOOD,
    HEALTH,
    HOST,
    INFER,
    LINE,
    PLAIN,
    Connection,
    as_params,
    assert_only_refused,
    assert_refused,
    chunked,
    head,
    length,
    request,
    split,
)
from serving import Serving, until
from transports import HEADER_LENGTH

ROUTES: Final = ("fast",)
READ: Final = head(f"GET {HEALTH} HTTP/1.1", HOST)
SLOW: Final = request("/v2/models/slow/infer", json.dumps(one("FP32", [1, 1], [2.0])).encode())
LARGE: Final = request("/v2/models/id_vec/infer", bytes(16 << 20), f"{HEADER_LENGTH}: 0")
"""Its answer is larger than what kernels hold for a reader who is late."""
FEW: Final = 4
pytestmark = pytest.mark.usefixtures("well")


STALLED: Final = {
    "sized": head(LINE, HOST, "Content-Length: 1000") + b"{",
    "nothing": head(LINE, HOST, "Content-Length: 1000"),
    "chunk": head(LINE, HOST, CHUNKED) + b"64\r\n{",
    "chunk-size": head(LINE, HOST, CHUNKED) + b"6",
    "trailer": head(LINE, HOST, CHUNKED) + chunked(PLAIN)[:-2] + b"X-A",
    "waiting": head(LINE, HOST, "Content-Length: 1000", "Expect: 100-continue"),
    "index": head("POST /v2/repository/index HTTP/1.1", HOST, "Content-Length: 1000") + b"{",
    "index-chunk": head("POST /v2/repository/index HTTP/1.1", HOST, CHUNKED) + b"64\r\n{",
}


@pytest.mark.parametrize("data", as_params(STALLED))
def test_body_that_stalls_is_given_up(hasty: Serving, data: bytes) -> None:
    """408, and the connection ends, whatever the route."""
    with Connection(hasty) as line:
        line.send(data)
        reply = line.reply()
        if reply.status == 100:
            reply = line.reply()
        assert line.ended()

    assert_refused(reply, 408)
    assert reply.closes


def test_body_of_a_refused_request_that_stalls_is_given_up(hasty: Serving) -> None:
    """Its answer needs no body; the connection does not stay open for it."""
    with Connection(hasty) as line:
        line.send(head("POST /v2/models/nope/infer HTTP/1.1", HOST, "Content-Length: 1000") + b"{")
        assert line.reply().status == 404
        line.replies()


def test_body_that_trickles_is_given_up(hasty: Serving) -> None:
    """Below the slowest rate that is allowed: each piece extends the time by less than it takes."""
    with Connection(hasty) as line:
        line.send(head(LINE, HOST, "Content-Length: 1000000"))
        until(lambda: line.send_until_refused(b" ") or line.says_something(0.02), within_s=10)
        assert_refused(line.reply(), 408)
        assert line.ended()


def test_body_that_flows_may_take_longer(hasty: Serving) -> None:
    """Above the slowest rate, beyond the time that a short body has."""
    with Connection(hasty) as line:
        padded = PLAIN + b" " * 30_000
        line.send(head(LINE, HOST, length(padded)))
        line.send_pieces(split(padded, 1_000), 0.04)
        assert line.reply().status == 200


def test_request_after_a_slow_one_has_its_own_time(hasty: Serving) -> None:
    """Nothing of the time that others took counts, nor does the prediction's own."""
    with Connection(hasty) as line:
        for _ in range(4):
            line.send_pieces([SLOW[:20], SLOW[20:-5], SLOW[-5:]], 0.2)
            assert line.reply().status == 200


def test_connection_without_a_request_is_closed_quietly(hasty: Serving) -> None:
    """There is nobody to be told anything."""
    with Connection(hasty) as line:
        assert line.ended()


@pytest.mark.parametrize("data", as_params({"infer": GOOD, "read": READ, "refused": request(INFER, b"[]"), "blank": GOOD + b"\r\n"}))
def test_idle_connection_is_closed_quietly(hasty: Serving, data: bytes) -> None:
    """After the answer, and not with a 408 that the next request would take for its own."""
    with Connection(hasty) as line:
        line.ask(data)
        assert line.ended()


def test_reader_that_does_not_read_is_cut_off(hasty: Serving) -> None:
    """Its connection is gone, and what it finds when it reads at last is not whole."""
    with Connection(hasty, receive_bytes=4_096) as line:
        line.send(LARGE)
        until(lambda: not line.is_held())
        with pytest.raises((AssertionError, ConnectionError)):
            line.reply()


def test_client_that_sends_and_never_reads_is_cut_off(hasty: Serving) -> None:
    """The server stops taking its requests, and then ends the connection: sending fails instead of waiting for ever."""
    with Connection(hasty, receive_bytes=4_096) as line, pytest.raises(ConnectionError):
        for _ in range(100):
            line.send(LARGE)


def test_reader_that_is_slow_gets_everything(hasty: Serving) -> None:
    """As long as it reads something now and then."""
    with Connection(hasty, receive_bytes=4_096) as line:
        line.send(LARGE)
        read = 0
        while read < 16 << 20:
            read += len(line.read(1 << 20))
            time.sleep(0.1)

    assert read >= 16 << 20


@pytest.fixture
def crowded(few: Path, tmp_path: Path) -> Iterator[Serving]:
    """A server that takes four connections."""
    serving = Serving(few, tmp_path)
    serving.start(f"http.max_connections={FEW}", 'models.slow.warmup="off"')
    yield serving
    serving.stop()


def test_connections_above_the_limit_are_refused(crowded: Serving) -> None:
    """503, which tells balancers to go elsewhere; those that are in are served, and one that leaves makes room."""
    with ExitStack() as stack:
        inside = [stack.enter_context(Connection(crowded)) for _ in range(FEW)]
        assert [line.ask(READ).status for line in inside] == [200] * FEW

        for _ in range(3):
            assert int(assert_only_refused(crowded, b"", 503, "UNAVAILABLE").headers["retry-after"]) >= 1

        assert [line.ask(GOOD).status for line in inside] == [200] * FEW
        inside[0].leave()
        until(lambda: is_let_in(crowded))


def is_let_in(serving: Serving) -> bool:
    """Tell whether a new connection is served."""
    with Connection(serving) as line:
        line.send_until_refused(GOOD)
        return line.reply().status == 200


@pytest.fixture
def leaving(few: Path, tmp_path: Path) -> Iterator[Serving]:
    """A server that the test itself ends."""
    serving = Serving(few, tmp_path)
    serving.start('models.slow.warmup="off"')
    yield serving
    serving.kill()


def test_answers_of_a_server_that_drains_end_their_connections(leaving: Serving) -> None:
    """What was accepted is answered, what comes later is refused, and either says that its connection ends; idle ones end at once."""
    with ExitStack() as stack:
        busy, late, reading, idle = (stack.enter_context(Connection(leaving)) for _ in range(4))
        assert {line.ask(READ).status for line in (busy, late, reading, idle)} == {200}
        busy.send(SLOW * 2)
        until(lambda: leaving.in_flight("slow") == 2)

        leaving.begin_to_stop()
        until(lambda: leaving.admin.get("/v2/health/ready").status_code == 503)
        late.send(GOOD)
        reading.send(READ)
        refused, read, answered = late.reply(), reading.reply(), busy.replies()

        assert_refused(refused, 503, "UNAVAILABLE")
        assert read.status == 200
        assert [reply.status for reply in answered] == [200, 200]
        assert (refused.closes, read.closes, answered[-1].closes) == (True, True, True)
        assert all(line.ended() for line in (busy, late, reading, idle))
    leaving.assert_stopped()
