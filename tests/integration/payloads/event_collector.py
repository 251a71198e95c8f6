"""A collector of events, written with the official SDK: it keeps every event that it is sent."""

import contextlib
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_http_event


@dataclass
class Collector:
    """Answers with `status` and keeps the events where that is 200; hangs while `gate` is shut."""

    status: int = 200
    gate: threading.Event = field(default_factory=threading.Event)
    events: list[BaseCloudEvent] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        self.gate.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/events"

    def pairs(self) -> dict[str, list[str]]:
        """Return the kinds of the events of each id, in their order."""
        found: dict[str, list[str]] = defaultdict(list)
        for event in list(self.events):
            found[event.get_id()].append(event.get_type().rpartition(".")[2])
        return dict(found)

    def close(self) -> None:
        """Listen no more."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.asked += 1
            collector.gate.wait(60)
            if collector.status == 200:
                collector.events.append(from_http_event(HTTPMessage(dict(self.headers.items()), body)))
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # who asked was killed
                super().handle()

        def log_message(self, *arguments: object) -> None: ...

    return Handler
