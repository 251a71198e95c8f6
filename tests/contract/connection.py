"""One TCP connection to a server, byte by byte: for what no client would send, and for when it is sent."""

import contextlib
import http.client
import json
import select
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, TypeVar

import pytest
from cases import addsub
from serving import Serving
from transports import discreet

PATIENCE_S: Final = 10
"""How long a test waits for what must come."""
STRICT_BYTES: Final = 65_536
"""The largest body that the server `strict` takes."""
INVALID: Final = "INVALID_ARGUMENT"
INFER: Final = "/v2/models/addsub/infer"
HEALTH: Final = "/v2/health/live"
LINE: Final = f"POST {INFER} HTTP/1.1"
HOST: Final = "Host: localhost"
CHUNKED: Final = "Transfer-Encoding: chunked"
PLAIN: Final = json.dumps(addsub()).encode()
"""The body of a prediction that is answered."""


_Sliced = TypeVar("_Sliced", bytes, tuple[Any, ...])


@dataclass(frozen=True)
class Reply:
    """One response as it stood on the wire."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name; a name that comes twice has its values joined by a comma."""
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends with it."""
        return self.headers.get("connection", "").lower() == "close"


class Connection:
    """A connection that a test opens, feeds and reads as it likes; a context manager."""

    def __init__(self, serving: Serving, *, receive_bytes: int = 0) -> None:
        """Connect; `receive_bytes` bounds what the kernel takes in before anybody reads."""
        host, _, port = serving.addresses["http"].rpartition(":")
        line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_bytes:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        line.settimeout(PATIENCE_S)
        line.connect((host, int(port)))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket: Final = serving.tls.wrap_socket(line, server_hostname="localhost") if serving.tls else line
        self._stream: Final[BinaryIO] = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.sendall(data)

    def send_until_refused(self, data: bytes) -> None:
        """Send as much as the server takes: it may answer and close before the end."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.send(data)

    def send_pieces(self, pieces: Iterable[bytes], pause_s: float = 0) -> None:
        """Send one after the other, each in a segment of its own if the kernel is quick enough."""
        for piece in pieces:
            self.send(piece)
            if pause_s:
                time.sleep(pause_s)

    def send_no_more(self) -> None:
        """Close the sending half only."""
        self._socket.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Close both halves, as a client does that is done."""
        self._stream.close()
        self._socket.close()

    def break_off(self) -> None:
        """Close by a reset, as when a client dies."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave()

    def ask(self, data: bytes, method: str = "POST") -> Reply:
        """Send a request and return its reply."""
        self.send(data)
        return self.reply(method)

    def reply(self, method: str = "POST") -> Reply:
        """Return the next reply. Raises `EOFError` if the connection ends before one begins."""
        line = self._stream.readline()
        if not line:
            raise EOFError("the connection ended without a reply")
        version, status, *_ = line.decode("ascii").split()
        assert version == "HTTP/1.1"
        fields = http.client.parse_headers(self._stream)
        headers = {name.lower(): ", ".join(fields.get_all(name, ())) for name in fields}
        bodiless = method == "HEAD" or int(status) in {204, 304} or int(status) < 200
        return Reply(int(status), headers, b"" if bodiless else self._body(headers))

    def replies(self) -> list[Reply]:
        """Return all replies until the connection ends."""
        found = []
        with contextlib.suppress(EOFError):
            while True:
                found.append(self.reply())
        return found

    def _body(self, headers: Mapping[str, str]) -> bytes:
        assert "transfer-encoding" not in headers
        length = int(headers["content-length"])
        body = self._stream.read(length)
        assert len(body) == length, "the connection ended within a body"
        return body

    def says_something(self, within_s: float = 0) -> bool:
        """Tell whether there is something to read, or the connection has ended."""
        return bool(select.select([self._socket], [], [], within_s)[0])

    def read(self, size: int) -> bytes:
        """Return so many bytes of what comes, fewer only at the end of the connection."""
        return self._stream.read(size)

    def is_held(self) -> bool:
        """Tell whether the server's end still belongs to a process; the kernel may hold unread bytes for longer."""
        ends = f"{self._socket.getpeername()[1]:04X}", f"{self._socket.getsockname()[1]:04X}"
        entries = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any((entry[1][-4:], entry[2][-4:]) == ends and entry[9] != "0" for entry in entries)

    def ended(self, within_s: float = PATIENCE_S) -> bool:
        """Tell whether the server ends the connection in time, with nothing more to say."""
        self._socket.settimeout(within_s)
        try:
            return self._stream.read(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(PATIENCE_S)


def head(*lines: str) -> bytes:
    """Return lines with their ends, and the blank line that ends a head; Latin-1, so that any byte can be written."""
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def length(body: bytes) -> str:
    """Return the header that tells the length of a body."""
    return f"Content-Length: {len(body)}"


def request(path: str, body: bytes = b"", *headers: str, method: str = "POST") -> bytes:
    """Return a request as it stands on the wire, with its length."""
    return head(f"{method} {path} HTTP/1.1", HOST, length(body), *headers) + body


GOOD: Final = request(INFER, PLAIN)
"""A prediction that is answered."""


def identified(name: str, path: str = INFER) -> bytes:
    """Return a good prediction whose answer repeats that id."""
    return request(path, json.dumps({**addsub(), "id": name}).encode())


def chunked(*chunks: bytes) -> bytes:
    """Return a body in chunks, the last one included."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def split(data: _Sliced, size: int) -> list[_Sliced]:
    """Return the data in pieces of that size."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def assert_refused(reply: Reply, status: int, code: str = "") -> None:
    """Assert that the reply is an error in the one form that errors have, and discreet."""
    assert reply.status == status, reply
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.document) == {"error", "code"}
    assert discreet(reply.document["error"])
    assert not code or reply.document["code"] == code


def assert_only_refused(serving: Serving, data: bytes, status: int = 400, code: str = INVALID) -> Reply:
    """Assert that the bytes are refused and the connection ends, without an answer to what stands behind them; return the refusal."""
    with Connection(serving) as line:
        line.send_until_refused(data)
        reply = line.reply()
        assert_refused(reply, status, code)
        assert reply.closes
        assert line.ended()
    return reply


def as_params(cases: Mapping[str, Any]) -> list[Any]:
    """Return the cases of a table as parameters, with their names as ids; the parts of a tuple are parameters of their own."""
    return [pytest.param(*(case if isinstance(case, tuple) else (case,)), id=name) for name, case in cases.items()]
