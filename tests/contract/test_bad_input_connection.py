"""B01-B14, B17, B88: what only a connection can carry: bytes that are no request, and heads that leave a doubt.

Over the fast path alone, whose protocol class judges all of this before any route does.
"""

import random
from typing import Final

import pytest
from connection import (
    CHUNKED,
    GOOD,
    HEALTH,
    HOST,
    INFER,
    INVALID,
    LINE,
    PLAIN,
    Connection,
    as_params,
    assert_only_refused,
    assert_refused,
    chunked,
    head,
    length,
)
from serving import Serving

ROUTES: Final = ("fast",)
pytestmark = pytest.mark.usefixtures("well")

NO_REQUESTS: Final = {
    "B01-random": random.Random(1).randbytes(300),
    "B01-zeros": bytes(64),
    "B01-tls": bytes.fromhex("16030100a5010000a10303") + random.Random(2).randbytes(160),
    "B01-text": b"hello\r\n\r\n",
    "B01-answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "B02-old": head(f"POST {INFER} HTTP/0.9", HOST, length(PLAIN)) + PLAIN,
    "B02-oldest": f"GET {HEALTH}\r\n\r\n".encode(),
    "B02-new": head(f"POST {INFER} HTTP/9.9", HOST, length(PLAIN)) + PLAIN,
    "B02-two": head(f"POST {INFER} HTTP/2.0", HOST, length(PLAIN)) + PLAIN,
    "B02-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "B02-case": head(f"POST {INFER} http/1.1", HOST, length(PLAIN)) + PLAIN,
    "B02-word": head(f"POST {INFER} HTTP/one", HOST, length(PLAIN)) + PLAIN,
}


@pytest.mark.parametrize("data", as_params(NO_REQUESTS))
def test_bytes_that_are_no_request_end_the_connection(server: Serving, data: bytes) -> None:
    """Noise, and versions of HTTP that are not spoken here."""
    assert_only_refused(server, data)


HOSTS: Final = {
    "B03-none": [],
    "B03-two": [HOST, "Host: elsewhere"],
    "B03-same-twice": [HOST, HOST],
    "B03-unknown": ["Host: elsewhere"],
    "B03-unknown-port": ["Host: elsewhere:80"],
    "B03-empty": ["Host:"],
}


@pytest.mark.parametrize("hosts", as_params(HOSTS))
@pytest.mark.parametrize("path", [INFER, HEALTH], ids=["infer", "health"])
def test_request_names_one_host_that_is_served(strict: Serving, path: str, hosts: list[str]) -> None:
    """For predictions as for every other route."""
    method, body = ("POST", PLAIN) if path == INFER else ("GET", b"")

    with Connection(strict) as line:
        assert_refused(line.ask(head(f"{method} {path} HTTP/1.1", *hosts, length(body)) + body), 400, INVALID)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1"])
def test_host_that_is_served_is_answered(strict: Serving, host: str) -> None:
    """In any case, with any port."""
    with Connection(strict) as line:
        assert line.ask(head(LINE, f"Host: {host}", length(PLAIN)) + PLAIN).status == 200


HEADS: Final = {
    "B04-colon": head(LINE, HOST, f"Content-Length : {len(PLAIN)}"),
    "B04-folded": head(LINE, HOST, "X-Folded: a", " b", length(PLAIN)),
    "B04-folded-tab": head(LINE, HOST, "X-Folded: a", "\tb", length(PLAIN)),
    "B04-folded-first": head(LINE, " X-Folded: a", HOST, length(PLAIN)),
    "B04-line-feeds": head(LINE, HOST, length(PLAIN)).replace(b"\r\n", b"\n"),
    "B04-one-line-feed": head(LINE, HOST, "X-A: a").replace(b"X-A: a\r\n", b"X-A: a\n"),
    "B04-line-feed-first": head(LINE, HOST, length(PLAIN)).replace(b"1.1\r\n", b"1.1\n"),
    "B04-line-feed-last": head(LINE, HOST, length(PLAIN))[:-2] + b"\n",
    "B04-carriage-return": head(LINE, HOST, "X-A: a\rX-B: b", length(PLAIN)),
    "B04-nameless": head(LINE, HOST, ": a", length(PLAIN)),
    "B04-no-colon": head(LINE, HOST, "X-A", length(PLAIN)),
    "B04-blank-in-name": head(LINE, HOST, "X A: a", length(PLAIN)),
    "B05": head(LINE, HOST, length(PLAIN), CHUNKED),
    "B05-turned": head(LINE, HOST, CHUNKED, length(PLAIN)),
    "B06": head(LINE, HOST, length(PLAIN), "Content-Length: 5"),
    "B06-list": head(LINE, HOST, f"Content-Length: {len(PLAIN)}, 5"),
    **{
        f"B07-{name}": head(LINE, HOST, f"Content-Length: {value}")
        for name, value in {
            "negative": "-1",
            "sign": "+5",
            "hexadecimal": "0x10",
            "two": "5 5",
            "empty": "",
            "digits": "9" * 40,
            "wraps": str(2**64 + len(PLAIN)),
            "fraction": "1.0",
            "letters": "5a",
        }.items()
    },
    "B08-unknown": head(LINE, HOST, "Transfer-Encoding: identity"),
    "B08-gzip": head(LINE, HOST, "Transfer-Encoding: gzip"),
    "B08-not-last": head(LINE, HOST, "Transfer-Encoding: chunked, gzip"),
    "B08-gzip-first": head(LINE, HOST, "Transfer-Encoding: gzip, chunked"),
    "B08-twice": head(LINE, HOST, CHUNKED, CHUNKED),
    "B08-similar": head(LINE, HOST, "Transfer-Encoding: xchunked"),
    "B08-old": head(f"POST {INFER} HTTP/1.0", HOST, CHUNKED),
}


@pytest.mark.parametrize("start", as_params(HEADS))
def test_head_that_leaves_a_doubt_about_the_body_ends_the_connection(server: Serving, start: bytes) -> None:
    """Proxies read such heads in different ways; what one takes for a body another takes for a request."""
    assert_only_refused(server, start + GOOD)


CHUNKS: Final = {
    "B09-word": b"zz\r\n" + PLAIN,
    "B09-prefix": b"0x10\r\n" + PLAIN,
    "B09-negative": b"-1\r\n" + PLAIN,
    "B09-sign": b"+5\r\n" + PLAIN,
    "B09-empty": b"\r\n" + PLAIN,
    "B09-vast": b"f" * 17 + b"\r\n" + PLAIN,
    "B09-blank": b" 5\r\n" + PLAIN,
    "B09-no-end": b"%x\r\n%bX\r\n0\r\n\r\n" % (len(PLAIN), PLAIN),
    "B09-short": b"%x\r\n%b\r\n0\r\n\r\n" % (len(PLAIN) - 1, PLAIN),
    "B09-line-feed": chunked(PLAIN).replace(b"\r\n", b"\n"),
    "B09-no-last-end": b"%x\r\n%b\r\n0\r\nX" % (len(PLAIN), PLAIN),
}


@pytest.mark.parametrize("body", as_params(CHUNKS))
def test_chunk_that_is_not_what_it_says_ends_the_connection(server: Serving, body: bytes) -> None:
    """A size that is no number, and data that goes on."""
    assert_only_refused(server, head(LINE, HOST, CHUNKED) + body + b"\r\n" + GOOD)


@pytest.mark.parametrize("surplus", as_params({"B10": b"surplus bytes\r\n\r\n", "B10-zeros": bytes(16)}))
def test_bytes_behind_a_body_must_be_a_request(server: Serving, surplus: bytes) -> None:
    """The request itself is answered; then the connection ends."""
    with Connection(server) as line:
        assert line.ask(GOOD + surplus).status == 200
        refused = line.reply()
        assert line.ended()

    assert_refused(refused, 400, INVALID)
    assert refused.closes


LONG: Final = {
    "B11": (head(f"POST {INFER}?{'x' * 9_000} HTTP/1.1", HOST), 414),
    "B11-health": (head(f"GET {HEALTH}?{'x' * 9_000} HTTP/1.1", HOST), 414),
    "B11-endless": (f"POST {INFER}?{'x' * 60_000}".encode(), 414),
    "B12-one": (head(LINE, HOST, f"X-Long: {'x' * 17_000}"), 431),
    "B12-name": (head(LINE, HOST, f"{'x' * 17_000}: a"), 431),
    "B12-all": (head(LINE, HOST, *(f"X-{number}: {'x' * 1_000}" for number in range(35))), 431),
    "B12-health": (head(f"GET {HEALTH} HTTP/1.1", HOST, f"X-Long: {'x' * 17_000}"), 431),
    "B12-endless": (f"{LINE}\r\n{HOST}\r\nX-Long: {'x' * 60_000}".encode(), 431),
    "B13": (head(LINE, HOST, *(f"X-{number}: x" for number in range(100))), 431),
}


@pytest.mark.parametrize(("data", "status"), as_params(LONG))
def test_head_above_its_limits_ends_the_connection(server: Serving, data: bytes, status: int) -> None:
    """The line, one header, all headers, their number; also where no end is in sight."""
    assert_only_refused(server, data, status, "")


SHORT: Final = {
    "B11-allowed": head(f"POST {INFER}?{'x' * 8_000} HTTP/1.1", HOST, length(PLAIN)),
    "B12-one-allowed": head(LINE, HOST, length(PLAIN), f"X-Long: {'x' * 16_000}"),
    "B12-all-allowed": head(LINE, HOST, length(PLAIN), *(f"X-{number}: {'x' * 1_000}" for number in range(30))),
    "B13-allowed": head(LINE, HOST, length(PLAIN), *(f"X-{number}: x" for number in range(98))),
}


@pytest.mark.parametrize("start", as_params(SHORT))
def test_head_within_its_limits_is_answered(server: Serving, start: bytes) -> None:
    """Just below each of them."""
    with Connection(server) as line:
        assert line.ask(start + PLAIN).status == 200


CONTROLS: Final = {
    "B14-path": head(f"POST {INFER}\x01 HTTP/1.1", HOST, length(PLAIN)),
    "B14-path-null": head("POST /v2/models/add\x00sub/infer HTTP/1.1", HOST, length(PLAIN)),
    "B14-path-delete": head("POST /v2/models/add\x7fsub/infer HTTP/1.1", HOST, length(PLAIN)),
    "B14-value": head(LINE, HOST, "X-A: a\x01b", length(PLAIN)),
    "B14-value-null": head(LINE, HOST, "X-A: a\x00b", length(PLAIN)),
    "B14-value-delete": head(LINE, HOST, "X-A: a\x7fb", length(PLAIN)),
    "B14-value-escape": head(LINE, HOST, "X-A: a\x1b[31mb", length(PLAIN)),
    "B14-name": head(LINE, HOST, "X\x01A: a", length(PLAIN)),
    "B14-method": head(f"PO\x01ST {INFER} HTTP/1.1", HOST, length(PLAIN)),
    "B88-carriage-return": head(LINE, HOST, "X-Request-Id: a\rb", length(PLAIN)),
    "B88-line-feed": head(LINE, HOST, "X-Request-Id: a\nb", length(PLAIN)),
    "B88-escape": head(LINE, HOST, "X-Request-Id: a\x1b[31mb", length(PLAIN)),
}


@pytest.mark.parametrize("start", as_params(CONTROLS))
def test_control_bytes_in_a_head_are_refused(server: Serving, start: bytes) -> None:
    """In the path, in a header's name or value."""
    with Connection(server) as line:
        assert_refused(line.ask(start + PLAIN), 400, INVALID)


UPGRADES: Final = {
    "B17-websocket": head(
        f"GET {HEALTH} HTTP/1.1",
        HOST,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ),
    "B17-h2c": head(LINE, HOST, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", length(PLAIN)) + PLAIN,
    "B17-tls": head(f"OPTIONS {INFER} HTTP/1.1", HOST, "Connection: upgrade", "Upgrade: TLS/1.0"),
}


@pytest.mark.parametrize("data", as_params(UPGRADES))
def test_connection_is_not_switched_to_another_protocol(server: Serving, data: bytes) -> None:
    """400, and nothing behind it is read in another way."""
    with Connection(server) as line:
        assert_refused(line.ask(data), 400, INVALID)
