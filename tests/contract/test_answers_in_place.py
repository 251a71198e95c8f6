"""Every request has one answer, in its place, and a connection that ends says so: also where bodies break or heads cannot be read.

Over the fast path alone: it is its own queue of answers that is looked at. Each case was found by `make fuzz`.
"""

from typing import Final

import pytest
from connection import CHUNKED, GOOD, HOST, INFER, INVALID, LINE, PLAIN, STRICT_BYTES, Connection, as_params, assert_refused, head, length
from serving import Serving

ROUTES: Final = ("fast",)
pytestmark = pytest.mark.usefixtures("well")

EARLY: Final = {"prediction": "POST /v2/models/nope/infer HTTP/1.1", "other": "POST /nope HTTP/1.1"}
"""Requests that are answered before their body is here."""
BROKEN: Final = {"no-size": b"zz\r\n", "vast": b"fffffffff\r\n"}


@pytest.mark.parametrize("chunk", as_params(BROKEN))
@pytest.mark.parametrize("line", as_params(EARLY))
def test_body_that_breaks_behind_its_answer_has_no_second_one(server: Serving, line: str, chunk: bytes) -> None:
    """A second answer would be taken for the next request's; the connection is cut."""
    with Connection(server) as connection:
        connection.send(head(line, HOST, CHUNKED))
        assert_refused(connection.reply(), 404)
        connection.send(chunk)

        assert connection.ended()


def test_body_that_breaks_before_the_application_answers_is_refused_once(server: Serving) -> None:
    """The application is asked already; what it would say is dropped."""
    with Connection(server) as connection:
        connection.send(head("POST /nope HTTP/1.1", HOST, CHUNKED) + b"zz\r\n")
        reply = connection.reply()

        assert_refused(reply, 400, INVALID)
        assert reply.closes
        assert connection.ended()


LAST: Final = {
    "too-large": (head(LINE, HOST, f"Content-Length: {STRICT_BYTES + 1}"), 413),
    "not-sent-yet": (head("POST /v2/models/nope/infer HTTP/1.1", HOST, "Expect: 100-continue", length(PLAIN)), 404),
    "chunk-too-large": (head(LINE, HOST, CHUNKED) + b"fffffffff\r\n", 413),
}


@pytest.mark.parametrize(("data", "status"), as_params(LAST))
def test_refusal_that_waits_for_an_answer_before_it_ends_the_connection(strict: Serving, data: bytes, status: int) -> None:
    """Nobody can tell where a further request would start, so that none is read: what it says is what it does."""
    with Connection(strict) as connection:
        connection.send(GOOD + data + GOOD)
        assert connection.reply().status == 200
        refused = connection.reply()

        assert_refused(refused, status)
        assert refused.closes
        assert connection.ended()


def test_empty_request_that_asks_for_the_end_gets_it(server: Serving) -> None:
    """As any other: the length of its body has no say in it."""
    with Connection(server) as connection:
        connection.send(head(LINE, HOST, "Connection: x, Close", "Content-Length: 0") + GOOD)
        reply = connection.reply()

        assert_refused(reply, 400, INVALID)
        assert reply.closes
        assert connection.ended()


def test_target_that_only_uvicorn_cannot_read_is_refused_in_our_words(server: Serving) -> None:
    """The head is in order but for the name of a host that is missing."""
    with Connection(server) as connection:
        connection.send(head("GET http:///v2 HTTP/1.1", HOST))
        reply = connection.reply()

        assert_refused(reply, 400, INVALID)
        assert connection.ended()


HEADS: Final = {"version": "HEAD /v2 HTTP/2.0", "target": f"HEAD {INFER}?{'x' * 9_000} HTTP/1.1"}


@pytest.mark.parametrize("line", as_params(HEADS))
def test_refusal_of_a_head_request_has_no_body(server: Serving, line: str) -> None:
    """Not even where the request could not be read as a whole (RFC 9110, section 9.3.2)."""
    with Connection(server) as connection:
        connection.send(head(line, HOST))

        reply = connection.reply("HEAD")
        assert reply.status in (400, 414)
        assert reply.closes
        assert connection.ended()
