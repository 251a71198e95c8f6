"""How commands find a listener: what cannot be one is a mistake in usage, told before anybody is asked."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import Result

Penstock = Callable[..., Result]

ADDRESSES = (
    "localhost:abc",
    "http://[::1",
    "localhost:65536",
    "localhost:-1",
    "ftp://localhost:21",
    "http://localhost:8080/v2",
    "local host:8080",
    f"{'a' * 64}.example:8080",
    "http://",
)


@pytest.fixture(name="asking", params=["--admin", "--http"])
def _asking(request: pytest.FixtureRequest, penstock: Penstock, tmp_path: Path) -> Callable[..., Result]:
    """Return what runs a command that asks a listener, with further options."""
    (tmp_path / "truth.csv").write_text("id,label\na,1\n")
    commands = {"--admin": ("traffic", "show", "m"), "--http": ("payloads", "feedback", "import", "truth.csv", "--model", "m")}
    command = commands[request.param]
    return lambda address, *options: penstock(*command, request.param, address, *options)


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_no_address_is_refused(asking: Callable[..., Result], address: str) -> None:
    """Whatever is wrong with it."""
    told = asking(address)

    assert (told.exit_code, "is no address; write HOST:PORT, such as" in told.stderr) == (2, True), told.output


@pytest.mark.parametrize(
    ("address", "options", "said"),
    [
        ("https://localhost:9", ("--client-key", "own.pem"), "name that with --client-certificate"),
        ("localhost:9", ("--client-certificate", "own.pem"), "name it as https://HOST:PORT"),
        ("https://localhost:9", ("--client-certificate", "own.pem"), "own.pem cannot be used with the key in it"),
        ("https://localhost:9", ("--client-certificate", "none.pem"), "'none.pem' does not exist"),
    ],
)
def test_certificate_that_cannot_be_shown_is_refused(
    asking: Callable[..., Result], tmp_path: Path, address: str, options: tuple[str, ...], said: str
) -> None:
    """With what is missing."""
    (tmp_path / "own.pem").write_text("no certificate")

    told = asking(address, *options)

    assert (told.exit_code, said in told.stderr) == (2, True), told.output


def test_certificate_of_the_settings_that_is_none_is_told(asking: Callable[..., Result], tmp_path: Path) -> None:
    """In one line."""
    (tmp_path / "own.pem").write_text("no certificate")
    settings = ("certificate=own.pem", "key=own.pem", 'listeners=["admin","http"]')

    told = asking("localhost:9", *(word for setting in settings for word in ("--set", f"security.tls.{setting}")))

    assert told.exit_code == 2, told.output
    assert told.stderr.startswith("security.tls.certificate cannot be read: own.pem: ")


@pytest.mark.parametrize("token", ["secret\nsecret", "secret\xe9"])
def test_file_that_holds_no_token_is_told(asking: Callable[..., Result], tmp_path: Path, token: str) -> None:
    """Without a word of what it holds."""
    (tmp_path / ".penstock").mkdir()
    (tmp_path / ".penstock" / "admin.token").write_text(token)

    told = asking("localhost:9")

    assert (told.exit_code, told.stderr.count("\n")) == (2, 1), told.output
    assert "holds characters that no token has" in told.stderr
    assert "secret" not in told.stderr


def test_listener_that_asks_for_no_key_is_shown_none(penstock: Penstock, tmp_path: Path) -> None:
    """The file may hold the secret of management, and the listener be a proxy of somebody else."""
    shown: list[str | None] = []

    class Open(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b'{"outputs": [{"name": "Y", "datatype": "FP32"}]}')

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._answer(b'{"unknown": 1}')

        def _answer(self, body: bytes) -> None:
            shown.append(self.headers["authorization"])
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    (tmp_path / "truth.csv").write_text("id,reward\na,1\n")
    (tmp_path / ".penstock").mkdir()
    (tmp_path / ".penstock" / "admin.token").write_text("secret")
    with HTTPServer(("127.0.0.1", 0), Open) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = penstock("payloads", "feedback", "import", "truth.csv", "--model", "m", "--http", f"127.0.0.1:{server.server_port}")
        server.shutdown()

    assert told.exit_code == 0, told.output
    assert shown == [None, None]
