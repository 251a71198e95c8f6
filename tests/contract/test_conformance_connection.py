"""What HTTP/1.1 allows on a connection: order, reuse, pieces of any size, chunks, and leaving early (RFC 9112).

Over the fast path alone; B21 and the framing that is refused are among the bad inputs.
"""

import json
import threading
import time
from typing import Final

import numpy as np
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
    Reply,
    as_params,
    assert_refused,
    chunked,
    head,
    identified,
    length,
    request,
    split,
)
from serving import Serving, until
from transports import HEADER_LENGTH, encoded

ROUTES: Final = ("fast",)
READ: Final = head(f"GET {HEALTH} HTTP/1.1", HOST)
METADATA: Final = head("GET /v2/models/addsub HTTP/1.1", HOST)
RAW: Final = request("/v2/models/id_vec/infer", np.array([1.5], "<f4").tobytes(), f"{HEADER_LENGTH}: 0")
"""A short prediction: the bytes of the only input."""
SLOW: Final = request("/v2/models/slow/infer", json.dumps(one("FP32", [1, 1], [2.0])).encode())
"""A prediction of 300 ms."""
PAUSE_S: Final = 0.002
pytestmark = pytest.mark.usefixtures("well")


def told(reply: Reply) -> object:
    """Return by what an answer can be known: its id, or its first key."""
    return reply.document.get("id") or next(iter(reply.document))


def test_fast_and_other_routes_are_answered_in_their_order(server: Serving) -> None:
    """Predictions, metadata, refusals and what is not there, pipelined."""
    asked = [
        (identified("a"), "a"),
        (READ, "live"),
        (identified("b"), "b"),
        (METADATA, "name"),
        (METADATA, "name"),
        (request("/v2/models/nope/infer", PLAIN), "error"),
        (identified("c"), "c"),
        (request("/nope", b"x" * 1_000), "error"),
        (identified("d"), "d"),
        (request(INFER, b"[]"), "error"),
        (READ, "live"),
        (identified("e"), "e"),
    ] * 5

    with Connection(server) as line:
        line.send(b"".join(data for data, _ in asked))
        assert [told(line.reply()) for _ in asked] == [name for _, name in asked]


def test_slow_prediction_keeps_its_place(server: Serving) -> None:
    """What is answered at once waits for what stands before it."""
    with Connection(server) as line:
        line.send(SLOW + identified("after") + READ)
        assert [line.reply().document.get(key) for key in ("model_name", "id", "live")] == ["slow", "after", True]


@pytest.mark.parametrize("data", as_params({"sized": RAW, "read": READ, "chunks": head(LINE, HOST, CHUNKED) + chunked(PLAIN)}))
def test_request_may_be_cut_anywhere(server: Serving, data: bytes) -> None:
    """In two, at every byte, one after the other on one connection."""
    with Connection(server) as line:
        for cut in range(1, len(data)):
            line.send_pieces([data[:cut], data[cut:]], PAUSE_S)
            assert line.reply().status == 200, cut


def test_request_may_come_byte_by_byte(server: Serving) -> None:
    """Each in a segment of its own."""
    with Connection(server) as line:
        line.send_pieces(split(RAW + READ, 1), PAUSE_S)
        assert [line.reply().status, line.reply().status] == [200, 200]


@pytest.mark.parametrize("cut", range(-3, 4))
def test_second_request_may_begin_in_the_segment_of_the_first(server: Serving, cut: int) -> None:
    """And end in the next one."""
    data = identified("a") + identified("b")

    with Connection(server) as line:
        line.send_pieces(split(data, len(identified("a")) + cut), PAUSE_S)
        assert [told(line.reply()), told(line.reply())] == ["a", "b"]


@pytest.mark.parametrize("size", [1, 2, 3, 16, 100, 10_000])
def test_body_may_come_in_chunks(server: Serving, size: int) -> None:
    """Of any size, with extensions and trailers, which nobody reads."""
    body = chunked(*split(PLAIN, size))
    extended = body.replace(b"\r\n0\r\n\r\n", b'\r\n00;a=b;c="d"\r\nX-Request-Id: trailer\r\nContent-Length: 3\r\n\r\n')

    with Connection(server) as line:
        replies = [line.ask(head(LINE, HOST, CHUNKED) + form) for form in (body, extended)]

    assert [reply.status for reply in replies] == [200, 200]
    assert all(reply.headers["x-request-id"] != "trailer" for reply in replies)


def test_trailers_are_bounded(server: Serving) -> None:
    """A chunked body that ends in trailers without end is given up."""
    body = chunked(PLAIN).removesuffix(b"\r\n") + b"".join(b"X-%d: %b\r\n" % (number, b"x" * 200) for number in range(2_000))

    with Connection(server) as line:
        line.send_until_refused(head(LINE, HOST, CHUNKED) + body)
        reply = line.reply()

    assert reply.status in {400, 413, 431}
    assert reply.closes


WAITING: Final = {
    "sized": (head(LINE, HOST, length(PLAIN), "Expect: 100-continue"), PLAIN),
    "chunks": (head(LINE, HOST, CHUNKED, "Expect: 100-continue"), chunked(PLAIN)),
    "case": (head(LINE, HOST, length(PLAIN), "expect: 100-Continue"), PLAIN),
    "index": (head("POST /v2/repository/index HTTP/1.1", HOST, length(b"{}"), "Expect: 100-continue"), b"{}"),
}


@pytest.mark.parametrize(("start", "body"), as_params(WAITING))
def test_client_that_waits_is_told_to_go_on(server: Serving, start: bytes, body: bytes) -> None:
    """100, then the answer; twice on one connection."""
    with Connection(server) as line:
        for _ in range(2):
            assert line.ask(start).status == 100
            assert line.ask(body).status == 200


def test_client_that_does_not_wait_is_answered(server: Serving) -> None:
    """It may send its body along, and then need not be told."""
    start, body = WAITING["sized"]

    with Connection(server) as line:
        line.send(start + body + head(LINE, HOST, "Connection: close", length(PLAIN)) + PLAIN)
        replies = [reply.status for reply in line.replies()]

    assert replies in ([100, 200, 200], [200, 200])


def test_request_without_a_body_has_nothing_to_wait_for(server: Serving) -> None:
    """Whatever it says it expects: what is behind it is answered too."""
    empty = head(LINE, HOST, length(b""), "Expect: 100-continue")

    with Connection(server) as line:
        line.send(GOOD + empty + request(HEALTH, method="GET") + head(LINE, HOST, "Connection: close", length(PLAIN)) + PLAIN)
        replies = [reply.status for reply in line.replies()]

    assert [status for status in replies if status != 100] == [200, 400, 200, 200]


def test_client_of_http_1_0_is_never_told_to_go_on(server: Serving) -> None:
    """It would take the 100 for its answer."""
    with Connection(server) as line:
        line.send(head(f"POST {INFER} HTTP/1.0", HOST, length(PLAIN), "Expect: 100-continue") + PLAIN)
        assert line.reply().status == 200


REFUSED: Final = {
    "unknown-model": ("/v2/models/nope/infer", 404),
    "unknown-route": ("/nope", 404),
    "wrong-method": ("/v2/models/addsub", 405),
    "index": ("/v2/repository/index", 400),
    "no-request": (INFER, 400),
}


@pytest.mark.parametrize(("path", "status"), as_params(REFUSED))
@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_body_of_a_refused_request_is_never_taken_for_a_request(server: Serving, path: str, status: int, framing: str) -> None:
    """What stands behind it is answered in its own right, unless the connection ends."""
    smuggled = GOOD * 40
    body = (length(smuggled), smuggled) if framing == "sized" else (CHUNKED, chunked(*split(smuggled, 700)))

    with Connection(server) as line:
        line.send_until_refused(head(f"POST {path} HTTP/1.1", HOST, body[0]) + body[1] + identified("behind"))
        refused = line.reply()
        if not refused.closes:
            assert told(line.reply()) == "behind"

    assert_refused(refused, status)


def test_answer_to_head_has_no_body(server: Serving) -> None:
    """405 on a prediction, and the connection goes on."""
    with Connection(server) as line:
        reply = line.ask(head(f"HEAD {INFER} HTTP/1.1", HOST), "HEAD")
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
        assert line.ask(identified("next")).document["id"] == "next"


@pytest.mark.parametrize("blanks", [b"", b"\r\n", b"\n"])
def test_refused_head_request_has_no_body(server: Serving, blanks: bytes) -> None:
    """Behind an empty line too, with which clients of old end their bodies: its letters would be taken for another answer."""
    with Connection(server) as line:
        reply = line.ask(blanks + head("HEAD v2/health/live HTTP/1.1", HOST), "HEAD")
        assert (reply.status, reply.closes) == (400, True)
        assert line.ended()


def test_blank_lines_before_a_request_are_skipped(server: Serving) -> None:
    """As RFC 9112 asks in section 2.2, for old clients."""
    with Connection(server) as line:
        assert line.ask(b"\r\n" + GOOD).status == 200
        assert line.ask(b"\r\n" + GOOD).status == 200


LAST: Final = {
    "close": (head(LINE, HOST, length(PLAIN), "Connection: close") + PLAIN, 200),
    "close-case": (head(LINE, HOST, length(PLAIN), "connection: Close") + PLAIN, 200),
    "close-list": (head(LINE, HOST, length(PLAIN), "Connection: x, close") + PLAIN, 200),
    "close-refused": (request(INFER, b"[]", "Connection: close"), 400),
    "close-slow": (SLOW.replace(HOST.encode(), b"Host: localhost\r\nConnection: close"), 200),
    "close-read": (head(f"GET {HEALTH} HTTP/1.1", HOST, "Connection: close"), 200),
    "old": (head(f"POST {INFER} HTTP/1.0", HOST, length(PLAIN)) + PLAIN, 200),
    "old-hostless": (head(f"POST {INFER} HTTP/1.0", length(PLAIN)) + PLAIN, 200),
    "old-read": (head(f"GET {HEALTH} HTTP/1.0"), 200),
}


@pytest.mark.parametrize(("data", "status"), as_params(LAST))
def test_connection_ends_with_the_answer_that_the_client_calls_its_last(server: Serving, data: bytes, status: int) -> None:
    """What is sent behind it is not answered."""
    with Connection(server) as line:
        reply = line.ask(data + GOOD)
        assert (reply.status, reply.closes) == (status, True)
        assert line.ended()


@pytest.mark.parametrize(
    "data", as_params({"infer": (head(f"POST {INFER} HTTP/1.0", HOST, length(PLAIN), "Connection: keep-alive") + PLAIN)})
)
def test_connection_of_http_1_0_stays_only_if_the_answer_says_so(server: Serving, data: bytes) -> None:
    """Its client keeps it open only then."""
    with Connection(server) as line:
        reply = line.ask(data)
        assert reply.status == 200
        if reply.headers.get("connection", "").lower() == "keep-alive":
            assert line.ask(data).status == 200
        else:
            assert line.ended()


def test_client_that_sends_no_more_has_left(server: Serving) -> None:
    """Whoever closes a connection says no more than this, so the half-closed kind cannot be told apart; as with most servers."""
    before = server.outcomes("slow", "cancelled")

    with Connection(server) as line:
        line.send(SLOW)
        line.send_no_more()
        assert line.replies() == []

    until(lambda: server.outcomes("slow", "cancelled") == before + 1)


def test_client_that_dies_is_a_cancelled_prediction(server: Serving) -> None:
    """And those behind it on its connection are too. On a busy machine the first may be answered before the client could die."""
    assert any(_dying_cancels_two(server) for _ in range(5))


def _dying_cancels_two(server: Serving) -> bool:
    until(lambda: server.in_flight("slow") == 0)
    cancelled = server.outcomes("slow", "cancelled")

    with Connection(server) as line:
        line.send(SLOW * 2)
        until(lambda: server.in_flight("slow") > 0)
        line.break_off()

    until(lambda: server.in_flight("slow") == 0)
    return server.outcomes("slow", "cancelled") == cancelled + 2


def test_client_that_leaves_has_its_prediction_booked_once(server: Serving) -> None:
    """It has closed both halves, which looks the same to the server as closing one: answered or cancelled, not lost."""
    until(lambda: server.in_flight("slow") == 0)
    before = {outcome: server.outcomes("slow", outcome) for outcome in ("answered", "cancelled")}

    with Connection(server) as line:
        line.send(SLOW)
        until(lambda: server.in_flight("slow") == 1)

    until(lambda: sum(server.outcomes("slow", outcome) - count for outcome, count in before.items()) == 1)


def test_large_body_comes_back(server: Serving) -> None:
    """8 MiB each way, read while it is still being sent, again and again on one connection."""
    data = np.arange(2 << 20, dtype="<f4")
    question = {**one("FP32", [2 << 20], data.tobytes()), "parameters": {"binary_data_output": True}}
    body, json_bytes = encoded(question)
    message = request("/v2/models/id_vec/infer", body, f"{HEADER_LENGTH}: {json_bytes}")

    with Connection(server) as line:
        for _ in range(3):
            sender = threading.Thread(target=line.send, args=(message,))
            sender.start()
            reply = line.reply()
            sender.join()
            assert reply.body[int(reply.headers[HEADER_LENGTH]) :] == data.tobytes()


def test_many_connections_are_served_at_once(server: Serving) -> None:
    """Two hundred, each in the middle of a request while the others are answered."""
    lines = [Connection(server) for _ in range(200)]
    try:
        for number, line in enumerate(lines):
            line.send(identified(f"n{number}")[:-1])
        time.sleep(PAUSE_S)
        for line in lines:
            line.send(b"}")
        assert [line.reply().document["id"] for line in lines] == [f"n{number}" for number in range(200)]
    finally:
        for line in lines:
            line.leave()
