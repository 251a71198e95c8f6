"""A connection over HTTP/1.1, from its first byte to its last: the fast path in front of the application.

A case is a byte that says how the rest is sent, and what is sent.
"""

import re
import zlib
from functools import cache
from random import Random
from typing import Final

from http_messages import Answer, Asked, answers, asked
from http_questions import WORDS, questions
from http_server import MAX_BODY_BYTES, HttpServer
from mutation import mutated

FORMED: Final = 0.7
_READ_BYTES: Final = 13
"""What orjson takes for each byte of a text, whatever it holds; bodies as short as these are not weighed before they are read."""
LIMIT_BYTES: Final = MAX_BODY_BYTES * _READ_BYTES
_IN_ONE_GO: Final = 0x40
_HASTY: Final = 0x3F
_COMPARED: Final = 0x80
DOCUMENTED: Final = frozenset({200, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 417, 429, 431, 501, 504})
"""The statuses of docs/reference/errors.md, without those of a server that leaves (503) and of a model that fails (500)."""
_OWN: Final = frozenset({405, 408, 413, 414, 417, 431})
"""Refusals of the fast path's own, for which uvicorn has other words or none."""
_UNREAD: Final = re.compile(rb"no valid HTTP|HTTP version")
__all__ = ("WORDS", "case", "mutate")


@cache
def server() -> HttpServer:
    """Return the one server of this process."""
    return HttpServer()


def case(data: bytes) -> bool:
    """Send the bytes, and judge what comes back."""
    if not data:
        return False
    manner, sent, house = data[0], data[1:], server()
    pieces = None if manner & _IN_ONE_GO else Random(zlib.crc32(data))
    hasty = manner & _HASTY == _HASTY
    end = house.ask(house.fast(), sent, pieces, hasty=hasty)
    house.check_books()
    if hasty:
        return False
    question = asked(sent, MAX_BODY_BYTES)
    got = list(answers(bytes(end.written), question.methods))
    check(question, got, over=end.over)
    if manner & _COMPARED and question.alone and question.whole == len(got) == 1:
        _compare(sent, question, got[0])
    return any(answer.status == 200 for answer in got)


def alone(data: bytes) -> bool:
    """Send the bytes without judging what comes back, for a judge takes memory too; returns whether a request was answered well."""
    manner, house = data[0] if data else 0, server()
    end = house.ask(house.fast(), data[1:], None if manner & _IN_ONE_GO else Random(zlib.crc32(data)))
    return b"HTTP/1.1 200 OK" in end.written


def check(question: Asked, got: list[Answer], *, over: bool) -> None:
    """Fail unless every request has one answer, and the connection is over or can be used."""
    statuses = [answer.status for answer in got]
    assert DOCUMENTED.issuperset(statuses), (statuses, got)
    assert not any(answer.closes for answer in got[:-1]), "answers behind one that closes"
    if over:
        assert got, "the connection was closed without a word"
        # One whose body turned out to be broken after its answer can only be cut.
        assert question.doubtful or got[-1].closes or len(got) > question.whole, "the connection was closed without saying so"
        assert question.doubtful or len(got) <= question.whole + 1, (question, statuses)
    else:
        assert not (got and got[-1].closes), "the connection stays open behind an answer that closes it"
        # What h11 finds broken may still be waited for, such as the rest of a line; but nothing of it is answered.
        assert question.doubtful or question.whole <= len(got) <= len(question.methods), (question, statuses)


def _compare(sent: bytes, question: Asked, fast: Answer) -> None:
    """Fail unless the application alone says the same."""
    if fast.status in _OWN or (fast.status == 400 and (not fast.body or _UNREAD.search(fast.body))):
        return
    house = server()
    end = house.ask(house.plain(), sent, None)
    if b"Invalid HTTP request received." in end.written:  # uvicorn's own words
        return
    plain = list(answers(bytes(end.written), question.methods))
    assert [(answer.status, _told(answer)) for answer in plain] == [(fast.status, _told(fast))]


def _told(answer: Answer) -> tuple[bytes, ...]:
    """Return what does not differ from one answer to the next; metrics and counters do."""
    lively = b'"last_inference"' in answer.body or answer.fields.get(b"content-encoding")
    kept = (b"content-type", b"penstock-model-version", b"penstock-arm", b"inference-header-content-length", b"retry-after", b"allow")
    return (b"" if lively else answer.body, *(answer.fields.get(name, b"") for name in kept))


def mutate(data: bytes, rng: Random) -> bytes:
    """Return other questions, or change those that are there a little."""
    manner = bytes([rng.choice((0, 0, 0x40, 0x80, 0xC0, 0xC0, 0x3F))])
    match rng.randrange(4):
        case 0:
            return manner + data[1:] + questions(rng)
        case 1:
            return manner + mutated(questions(rng), rng, WORDS)
        case _:
            return manner + questions(rng)
