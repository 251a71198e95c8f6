"""The fast path over TLS, where records take the place of segments and nobody can close one half of a connection."""

import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from cases import one
from connection import (
    GOOD,
    HEALTH,
    HOST,
    INFER,
    LINE,
    PLAIN,
    Connection,
    assert_only_refused,
    assert_refused,
    head,
    identified,
    length,
    request,
    split,
)
from serving import Serving, until
from transports import HEADER_LENGTH

OPENSSL: Final = shutil.which("openssl")
READ: Final = head(f"GET {HEALTH} HTTP/1.1", HOST)
SLOW: Final = request("/v2/models/slow/infer", json.dumps(one("FP32", [1, 1], [2.0])).encode())
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="there is no openssl to make a certificate with")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a certificate for localhost that signs itself."""
    home = tmp_path_factory.mktemp("tls")
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    files = ["-keyout", str(home / "key.pem"), "-out", str(home / "certificate.pem")]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([str(OPENSSL), "req", *options, *files, *names], check=True, capture_output=True)
    return home


@pytest.fixture(scope="module")
def secure(home: Path, registry: Path) -> Iterator[Serving]:
    """A server that speaks TLS."""
    serving = Serving(registry, home, tls=ssl.create_default_context(cafile=str(home / "certificate.pem")))
    try:
        tls = ("certificate=certificate.pem", "key=key.pem", 'listeners=["http", "admin"]')
        serving.start(
            *(f"security.tls.{setting}" for setting in tls), 'models.slow.warmup="off"', "http.head_timeout_s=3", "http.body_timeout_s=3"
        )
        yield serving
        serving.assert_balanced()
        serving.stop()
    finally:
        serving.kill()


@pytest.fixture(autouse=True)
def well(secure: Serving) -> Iterator[None]:
    """After each case the server lives, is ready and answers."""
    yield
    secure.assert_serving()


def test_pipelined_requests_are_answered_in_order(secure: Serving) -> None:
    """Predictions among other routes, in one record and in many."""
    data = b"".join(identified(f"p{number}") + READ for number in range(50))

    for size in (len(data), 100):
        with Connection(secure) as line:
            line.send_pieces(split(data, size))
            replies = [line.reply().document for _ in range(100)]
            assert [reply.get("id", reply.get("live")) for reply in replies] == [value for n in range(50) for value in (f"p{n}", True)]


def test_large_bodies_come_back(secure: Serving) -> None:
    """4 MiB each way, in many records."""
    data = np.arange(1 << 20, dtype="<f4").tobytes()

    with Connection(secure) as line:
        reply = line.ask(request("/v2/models/id_vec/infer", data, f"{HEADER_LENGTH}: 0"))

    assert reply.body[int(reply.headers[HEADER_LENGTH]) :] == data


def test_connection_ends_as_the_client_asks(secure: Serving) -> None:
    """Properly, by a close_notify: a cut would be an `SSLEOFError`."""
    with Connection(secure) as line:
        reply = line.ask(head(LINE, HOST, length(PLAIN), "Connection: close") + PLAIN)
        assert (reply.status, reply.closes) == (200, True)
        assert line.ended()


@pytest.mark.parametrize("data", [b"hello\r\n\r\n", head(LINE, "Content-Length: 1") + GOOD], ids=["noise", "hostless"])
def test_bytes_that_are_no_request_are_refused(secure: Serving, data: bytes) -> None:
    """The refusal arrives although the connection ends with it."""
    assert_only_refused(secure, data)


@pytest.mark.parametrize("data", [LINE.encode(), head(LINE, HOST, "Content-Length: 9") + b"{"], ids=["head", "body"])
def test_request_that_stalls_is_given_up(secure: Serving, data: bytes) -> None:
    """408."""
    assert_only_refused(secure, data, 408, "")


def test_client_that_dies_is_a_cancelled_prediction(secure: Serving) -> None:
    """Without a word of farewell."""
    before = secure.outcomes("slow", "cancelled")

    with Connection(secure) as line:
        line.send(SLOW)
        until(lambda: secure.in_flight("slow") == 1)
        line.break_off()

    until(lambda: secure.outcomes("slow", "cancelled") == before + 1)


def test_plain_http_is_not_answered(secure: Serving) -> None:
    """Who forgets the s gets nothing, and the server stays well."""
    plain = Serving(secure.registry, secure.registry)
    plain.addresses = secure.addresses

    with Connection(plain) as line:
        line.send(GOOD)
        assert line.ended()


def test_body_is_invited(secure: Serving) -> None:
    """100, then the answer; and a refusal in the place of the 100."""
    with Connection(secure) as line:
        assert line.ask(head(LINE, HOST, length(PLAIN), "Expect: 100-continue")).status == 100
        assert line.ask(PLAIN).status == 200
        assert_refused(line.ask(head(f"POST {INFER} HTTP/1.1", HOST, "Content-Length: 5", "Expect: nothing")), 417)
