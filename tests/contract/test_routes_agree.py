"""The fast path and the plain ASGI route give the same answer to every question of the corpus, however it is sent."""

import gzip
import re
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest
from connection import Connection, Reply, chunked, head, split
from corpus import QUESTIONS, Question
from serving import Serving

ROUTES: Final = ("fast",)  # the other one is asked by the test itself
IN_ONE_GO: Final = 40
SMALL: Final = 2_000
_INFLATE: Final = {"gzip": gzip.decompress, "deflate": zlib.decompress}
_MADE: Final = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def fast(servers: Callable[[str], Serving]) -> Serving:
    """The server of the product."""
    return servers("fast")


@pytest.fixture(scope="module")
def plain(servers: Callable[[str], Serving]) -> Iterator[Serving]:
    """The server without the fast path."""
    serving = servers("plain")
    yield serving
    serving.assert_balanced()


def head_of(question: Question, *framing: str) -> bytes:
    """Return the head of a question, with the header that frames its body."""
    headers = [f"{name}: {value}" for name, value in question.headers]
    return head(f"{question.method} {question.path} HTTP/1.1", "Host: localhost", *framing, *headers)


def whole(question: Question) -> list[bytes]:
    """Return a question in one piece; a request without a body says nothing of its length unless it is a POST."""
    framing = [f"Content-Length: {len(question.body)}"] if question.body or question.method == "POST" else []
    return [head_of(question, *framing) + question.body]


def in_pieces(question: Question) -> list[bytes]:
    """Return a question byte by byte, a large one in pieces."""
    (data,) = whole(question)
    return split(data, 1 if len(data) <= SMALL else len(data) // 97)


def in_chunks(question: Question) -> list[bytes]:
    """Return a question with a body of undeclared length, in chunks of odd sizes, cut where no chunk ends."""
    chunks = split(question.body, max(7, len(question.body) // 13))
    return split(head_of(question, "Transfer-Encoding: chunked") + chunked(*chunks), max(101, len(question.body) // 11))


MANNERS: Final = {"whole": whole, "in pieces": in_pieces, "in chunks": in_chunks}


def shown(question: Question, reply: Reply) -> Reply:
    """Return the reply without what differs from one answer to the next."""
    headers = {name: value for name, value in reply.headers.items() if name != "date"}
    for name, value in headers.items():
        if name == "x-request-id" and _MADE.fullmatch(value):
            headers[name] = "made by the server"
        if name == "server-timing":
            headers[name] = re.sub(r"\d+\.\d{3}", "0", value)
    body = b"" if question.lively else reply.body
    if coding := headers.get("content-encoding"):
        body = _INFLATE[coding](body)
    if question.lively or coding:
        headers["content-length"] = "any"
    return replace(reply, headers=headers, body=body)


def asked(serving: Serving, question: Question, pieces: list[bytes]) -> Reply:
    """Return the answer to a question on a connection of its own."""
    with Connection(serving) as line:
        line.send_pieces(pieces)
        return shown(question, line.reply(question.method))


def test_plain_route_is_plain(plain: Serving) -> None:
    """Uvicorn's own protocol answers noise in plain text, so it is not the fast path that is compared with itself."""
    with Connection(plain) as line:
        assert line.ask(b"noise\r\n\r\n").headers["content-type"].startswith("text/plain")


def test_ids_are_unique() -> None:
    """So that a failure names one question."""
    assert [name for name, count in Counter(question.id for question in QUESTIONS).items() if count > 1] == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_routes_agree(fast: Serving, plain: Serving, question: Question) -> None:
    """Status, headers and body; whole, byte by byte, and chunked."""
    expected = asked(plain, question, whole(question))

    for manner, pieces in MANNERS.items():
        if manner != "in chunks" or question.body:
            assert asked(fast, question, pieces(question)) == expected, manner


@pytest.mark.parametrize("questions", split(QUESTIONS, IN_ONE_GO), ids=lambda questions: questions[0].id)
def test_routes_agree_on_many_in_one_go(fast: Serving, plain: Serving, questions: tuple[Question, ...]) -> None:
    """The same questions pipelined on one connection, fast ones among others: every answer in its place."""
    expected = [asked(plain, question, whole(question)) for question in questions]
    # What ends a connection would end the test.
    kept = [(question, reply) for question, reply in zip(questions, expected, strict=True) if not reply.closes]

    with Connection(fast) as line:
        sender = threading.Thread(target=line.send_pieces, args=([piece for question, _ in kept for piece in whole(question)],))
        sender.start()
        replies = [shown(question, line.reply(question.method)) for question, _ in kept]
        sender.join()

    assert [reply for _, reply in kept] == replies
