"""B15, B16, B18-B21, B41-B43, B88: requests that break off, stall, are too large, come all at once, or forge a log line.

Over the fast path alone, like the other tests of connections.
"""

import json
from typing import Any, Final

import pytest
from connection import (
    CHUNKED,
    HEALTH,
    HOST,
    INFER,
    INVALID,
    LINE,
    PLAIN,
    STRICT_BYTES,
    Connection,
    as_params,
    assert_only_refused,
    assert_refused,
    chunked,
    head,
    identified,
    length,
    request,
    split,
)
from serving import Serving, until

ROUTES: Final = ("fast",)
INDEX: Final = "/v2/repository/index"
PADDED: Final = PLAIN + b" " * (STRICT_BYTES - len(PLAIN))
"""A good body of exactly the size that `strict` takes."""
pytestmark = pytest.mark.usefixtures("well")

BROKEN_OFF: Final = {
    "B15": head(LINE, HOST, length(PLAIN)) + PLAIN[:-1],
    "B15-head": head(LINE, HOST, length(PLAIN)),
    "B15-chunks": head(LINE, HOST, CHUNKED) + chunked(PLAIN)[:-2],
}
WAYS: Final = {"leaves": Connection.leave, "breaks-off": Connection.break_off, "sends-no-more": Connection.send_no_more}


@pytest.mark.parametrize("leave", as_params(WAYS))
@pytest.mark.parametrize("data", as_params(BROKEN_OFF))
def test_body_that_breaks_off_is_a_cancelled_prediction(server: Serving, data: bytes, leave: Any) -> None:
    """Nobody is answered, the connection ends, and the ledger says so."""
    before = server.outcomes("addsub", "cancelled")

    with Connection(server) as line:
        # The answer to the first request tells that the head of the second has arrived.
        line.ask(identified("first") + data)
        leave(line)
        until(lambda: server.outcomes("addsub", "cancelled") == before + 1)
        assert leave is not Connection.send_no_more or line.ended()


HEADS: Final = {
    "B16": LINE.encode(),
    "B16-letter": b"P",
    "B16-host": head(LINE, HOST)[:-2],
    "B16-read": f"GET {HEALTH} HTTP/1.1\r\n".encode(),
}


@pytest.mark.parametrize("start", as_params(HEADS))
def test_head_that_never_ends_is_given_up(hasty: Serving, start: bytes) -> None:
    """408, and the connection ends."""
    assert_only_refused(hasty, start, 408, "")


def test_head_that_comes_byte_by_byte_is_given_up(hasty: Serving) -> None:
    """B16: bytes that trickle in do not extend the time."""
    with Connection(hasty) as line:
        line.send(head(LINE, HOST)[:-2] + b"X-Endless: ")
        until(lambda: line.send_until_refused(b"x") or line.says_something(0.02), within_s=10)
        assert_refused(line.reply(), 408)
        assert line.ended()


TOO_LONG: Final = {
    "B18": ("Expect: 100-continue", INFER),
    "B18-case": ("EXPECT: 100-Continue", INFER),
    "B18-unrouted": ("Expect: 100-continue", INDEX),
    "B41": ("X-Expect: nothing", INFER),
    "B41-v1": ("X-Expect: nothing", "/v1/models/addsub:predict"),
}


@pytest.mark.parametrize(("expectation", "path"), as_params(TOO_LONG))
def test_declared_length_above_the_limit_is_refused_before_the_body(strict: Serving, expectation: str, path: str) -> None:
    """The client is not asked to go on, and has not sent a byte of the body."""
    assert_only_refused(strict, head(f"POST {path} HTTP/1.1", HOST, f"Content-Length: {16 * STRICT_BYTES}", expectation), 413, "TOO_LARGE")


@pytest.mark.parametrize("value", as_params({"B19": "200-ok", "B19-list": "100-continue, other", "B19-word": "x"}))
@pytest.mark.parametrize("path", [INFER, INDEX], ids=["infer", "index"])
def test_expectation_that_is_not_known_fails(server: Serving, path: str, value: str) -> None:
    """417, whatever the route."""
    with Connection(server) as line:
        assert_refused(line.ask(request(path, PLAIN, f"Expect: {value}")), 417)


METHODS: Final = {
    "B20-connect": ("CONNECT", "localhost:80"),
    "B20-trace": ("TRACE", INFER),
    "B20-unknown": ("BREW", INFER),
    "B20-unknown-v1": ("BREW", "/v1/models/addsub:predict"),
    "B20-trace-health": ("TRACE", HEALTH),
    "B20-unknown-health": ("BREW", HEALTH),
    "B20-case": ("post", INFER),
}


@pytest.mark.parametrize(("method", "target"), as_params(METHODS))
def test_methods_that_are_not_known_are_not_allowed(server: Serving, method: str, target: str) -> None:
    """405 with what is allowed; no metric gets a label from it."""
    with Connection(server) as line:
        reply = line.ask(request(target, method=method))

    assert_refused(reply, 405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"]
    assert f'"{method}"' not in server.admin.get("/metrics").text


@pytest.mark.parametrize("count", as_params({"B21": 100, "B21-more": 250}))
@pytest.mark.parametrize("manner", ["at-once", "in-pieces"])
def test_pipelined_requests_are_answered_in_order(server: Serving, count: int, manner: str) -> None:
    """A hundred; and of more than that none is lost either."""
    names = [f"p{number}" for number in range(count)]
    data = b"".join(map(identified, names))

    with Connection(server) as line:
        line.send_pieces([data] if manner == "at-once" else split(data, 1_000))
        replies = [line.reply() for _ in names]

    assert [(reply.status, reply.document["id"]) for reply in replies] == [(200, name) for name in names]


@pytest.mark.parametrize("size", as_params({"B42-small": 100, "B42": 4_096, "B42-one": STRICT_BYTES + 1}))
def test_undeclared_length_is_refused_at_the_crossing(strict: Serving, size: int) -> None:
    """As soon as a chunk crosses the limit, and the end of the body is not waited for."""
    chunks = chunked(*split(PADDED + b" ", size)).removesuffix(chunked())

    assert_only_refused(strict, head(LINE, HOST, CHUNKED) + chunks, 413, "TOO_LARGE")


FULL: Final = {"B43": head(LINE, HOST, length(PADDED)) + PADDED, "B43-chunks": head(LINE, HOST, CHUNKED) + chunked(*split(PADDED, 1_000))}


@pytest.mark.parametrize("data", as_params(FULL))
def test_body_at_the_limit_is_read(strict: Serving, data: bytes) -> None:
    """Exactly as many bytes as are allowed, of declared and of undeclared length."""
    with Connection(strict) as line:
        assert line.ask(data).status == 200


def test_body_above_the_limit_is_refused_even_if_it_is_sent(strict: Serving) -> None:
    """B43: one byte more; the client reads the refusal although it has sent all of it."""
    with Connection(strict) as line:
        line.send_until_refused(request(INFER, PADDED + b" "))
        assert_refused(line.reply(), 413, "TOO_LARGE")


FORGED: Final = {
    "B88-id": (INFER, "X-Request-Id: a\"%s{}'b"),
    "B88-name": ("/v2/models/add%0D%0A%7B%22event%22%3A1%7Dsub/infer", "X-A: a"),
    "B88-name-escape": ("/v2/models/%1B%5B31m/infer", "X-A: a"),
    "B88-version": ("/v2/models/addsub/versions/1%0A%7B%22event%22%3A1%7D/infer", "X-A: a"),
    "B88-header": (INFER, "Penstock-Deadline-Ms: \u2028%s{}"),
}


@pytest.mark.parametrize(("path", "header"), as_params(FORGED))
def test_no_request_breaks_a_line_of_the_log(strict: Serving, path: str, header: str) -> None:
    """One record for each prediction, whatever it is called, and no line that is none."""
    before = len(strict.log)

    with Connection(strict) as line:
        told = line.ask(request(path, PLAIN, header.encode().decode("latin-1"))).headers.get("x-request-id", "")
        line.ask(request(INFER, PLAIN, "X-Request-Id: behind"))
    until(lambda: '"request_id":"behind"' in strict.log[before:])

    records = [json.loads(text) for text in strict.log[before:].splitlines()]
    assert [record["request_id"] for record in records].count(told) == (1 if told else 0)
    assert {record["event"] for record in records} == {"prediction"}


def test_id_with_control_bytes_is_refused(strict: Serving) -> None:
    """B88: by its escaped form in the body, too."""
    body = PLAIN[:-1] + b', "id": "a\\u001b[31m\\r\\nb"}'

    with Connection(strict) as line:
        assert_refused(line.ask(request(INFER, body)), 400, INVALID)
